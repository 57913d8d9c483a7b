/** Runs of a puller over links of virtual time. */

import {
  asksLittle,
  asksMuch,
  blamesItself,
  keepsTwiceAsMuch,
  outrunAfterwards,
  outrunIsDoubled,
  resumesOnTheSame,
} from '../replica/driver/pulling-cases.js';
import {
  holdsOn,
  leavesWhoRefuses,
  pausesInVain,
  waitsForItsDisk,
  waitsForASlowOne,
  waitsOnceForASilentOne,
  waitsThoughOneRefuses,
} from '../replica/driver/pulling-waits.js';

export const pullingScripts = {
  'pull: on the same': async () => resumesOnTheSame(),
  'pull: blames itself': async () => blamesItself(),
  'pull: little': async () => asksLittle(),
  'pull: much': async () => asksMuch(),
  'pull: outrun': async () => outrunIsDoubled(),
  'pull: outrun afterwards': async () => outrunAfterwards(),
  'pull: holds on': async () => holdsOn(),
  'pull: own disk': async () => waitsForItsDisk(),
  'pull: a silent one': async () => waitsOnceForASilentOne(),
  'pull: a slow one': async () => waitsForASlowOne(),
  'pull: a slow one, a refusal': async () => waitsThoughOneRefuses(),
  'pull: a refusal in the middle': async () => leavesWhoRefuses(),
  'pull: in vain': async () => pausesInVain(),
  'pull: twice as much': async () => keepsTwiceAsMuch(),
} as const;
