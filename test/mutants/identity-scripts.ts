/** Killers of the mutants of identity: what must hold of first starts and lost disks, for every size. */

import * as cases from '../replica/driver/identity-cases.js';

const SIZES = [2, 3, 4, 5, 6, 7];

export const identityScripts = {
  'identity: lost questions': () => SIZES.forEach(cases.lostQuestions),
  'identity: stray start': () => SIZES.forEach(cases.stray),
  'identity: late question': () => cases.replaced(3),
  'identity: message of the core': () => [5, 6, 7].forEach(cases.coreMessage),
  'identity: minority of lost disks': () => SIZES.forEach(cases.minorityLost),
  'identity: lost before the others': () => SIZES.forEach(cases.lostBeforeOthers),
};
