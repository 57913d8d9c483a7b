/** Runs written by hand, each to the point where a rule is needed and chance hardly ever gets. */

import { driverScripts } from './driver-scripts.js';
import { paxosScripts } from './paxos-scripts.js';
import { raftScripts } from './raft-scripts.js';
import { storageScripts } from './storage-scripts.js';

const all = { ...raftScripts, ...paxosScripts, ...driverScripts, ...storageScripts } as const;

export type ScriptName = keyof typeof all;

export const scripts: Readonly<Record<ScriptName, () => void | Promise<void>>> = all;
