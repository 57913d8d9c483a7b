/** Runs of a puller over links of virtual time. */

import { blamesItself, resumesOnTheSame } from '../replica/driver/pulling-cases.js';

export const pullingScripts = {
  'pull: on the same': async () => resumesOnTheSame(),
  'pull: blames itself': async () => blamesItself(),
} as const;
