/** The choice of a protocol as users meet it: every misuse is a ConsensusError. */

import type { ProtocolChoice, Tuning } from '../core/tuning.js';
import { ConsensusError, textOf } from './errors.js';

/** Chooses a protocol with these settings. Throws ConsensusError ERR_INVALID_ARGUMENT that names the setting. */
export type ChooseProtocol = (tuning?: Tuning) => ProtocolChoice;

/** The same choice; what it throws as a pure function becomes ERR_INVALID_ARGUMENT. */
export function checkedChoice(choose: ChooseProtocol): ChooseProtocol {
  return (tuning) => {
    try {
      return choose(tuning);
    } catch (cause) {
      throw new ConsensusError(textOf(cause), { code: 'ERR_INVALID_ARGUMENT', cause });
    }
  };
}
