/** For whom a forward is: for the leadership of the term that it names, and for no other. */

import type { AnyDraft } from './draft.js';
import type { Term } from './protocol.js';

/** Whether this replica leads in this term: a forward made for another leadership is not for it. */
export function leadsIn(draft: AnyDraft, term: Term): boolean {
  return draft.state.role.kind === 'leader' && draft.termOf(draft.state) === term;
}
