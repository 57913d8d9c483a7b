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

export const pullingScripts = {
  'pull: on the same': async () => resumesOnTheSame(),
  'pull: blames itself': async () => blamesItself(),
  'pull: little': async () => asksLittle(),
  'pull: much': async () => asksMuch(),
  'pull: outrun': async () => outrunIsDoubled(),
  'pull: outrun afterwards': async () => outrunAfterwards(),
  'pull: twice as much': async () => keepsTwiceAsMuch(),
} as const;
