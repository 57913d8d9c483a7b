/** What a core must not do with what its host tells it: a forward that never left, and lanes that a host keeps apart. */

import type { ReplicaId } from '../../src/core/members.js';
import type { AnyModel } from '../../src/core/model.js';
import type { Lane, Resolve, Send, SnapshotName } from '../../src/core/protocol.js';
import { defaultLimits } from '../../src/core/tuning.js';
import { raftModel, type RaftMessage } from '../../src/raft/index.js';
import { play } from '../play.js';
import { Node } from '../raft/support.js';
import { noop } from '../values.js';
import { BareDriver, driverIn } from '../replica/bare-driver.js';
import { fullLeaderReads } from '../replica/driver/full-cases.js';
import { madeBesideTheLane, sparing } from '../replica/driver/room-cases.js';
import { demand } from '../violation.js';

function propose(node: Node, request: number, bytes: number): void {
  const id = { session: 1, sequence: request, firstIncomplete: 1 };
  const proposal = { request, kind: 'command', id, data: new Uint8Array(bytes), retry: false } as const;
  node.step({ kind: 'propose', proposals: [proposal], deadline: 10_000 });
}

/** The transport refuses a forward: nothing of it is anywhere, and that is what the host is told. */
async function unsentForward(): Promise<void> {
  const node = new Node('a');
  const nothing = { prevIndex: 0, prevTerm: 0, entries: [], commit: 0, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', term: 1, viewId: 1, ...nothing });
  propose(node, 1, 1);
  const forward = node.sends.find((each) => each.forward !== undefined)?.forward ?? 0;
  const out = node.step({ kind: 'unsent', number: forward });
  const ends = out.filter((each): each is Resolve => each.kind === 'resolve').map(({ outcome }) => outcome);
  demand(
    ends.length === 1 && ends[0]?.kind === 'none' && ends[0].reason === 'unsent',
    'requests/unsent-is-none: a forward that never left has no effect',
    () => ends,
  );
}

/** The storage says of a snapshot that it is complete after it said so of a newer one. */
async function olderSnapshot(): Promise<void> {
  const node = new Node('a');
  const entries = [1, 2, 3].map((index) => noop(index, 1));
  const append = { viewId: 1, prevIndex: 0, prevTerm: 0, entries, commit: 3, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', term: 1, ...append });
  node.step({ kind: 'applied', index: 3 });
  for (const index of [3, 2])
    node.step({ kind: 'snapshotTaken', snapshot: { index, term: 1, checksum: 7, time: 0 }, through: 0 });
  demand(
    node.state.snapshot?.index === 3,
    'snapshots/newer-replaces-older: the snapshot that a start restores is never an older one',
    () => node.state.snapshot,
  );
}

/** A follower of a leader of term 1 whose log has so many entries, of which so many are committed. */
function followerOf(length: number, commit: number): Node {
  const node = new Node('a');
  const entries = Array.from({ length }, (_, at) => noop(at + 1, 1));
  const append = { viewId: 1, prevIndex: 0, prevTerm: 0, entries, commit, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', term: 1, ...append });
  node.step({ kind: 'applied', index: commit });
  return node;
}

const SNAPSHOT: Omit<SnapshotName, 'index'> = { term: 2, checksum: 7, time: 0 };

/** A snapshot of what is committed and applied, and not yet durable here. */
async function trimmedTooSoon(): Promise<void> {
  const node = followerOf(3, 3);
  node.step({ kind: 'snapshotTaken', snapshot: { index: 3, term: 1, checksum: 7, time: 0 }, through: 3 });
  demand(
    node.state.log.first === 1,
    'snapshots/trim-below-snapshot: what is not durable is not trimmed',
    () => node.state.log,
  );
}

/** An append of a leader that does not know how much this follower has. */
async function appendBelowBase(): Promise<void> {
  const node = followerOf(4, 4);
  node.sync();
  node.step({ kind: 'snapshotTaken', snapshot: { index: 3, term: 1, checksum: 7, time: 0 }, through: 3 });
  const append = { viewId: 1, prevIndex: 1, prevTerm: 1, entries: [noop(2, 1)], commit: 4, readRound: 0 };
  const out = node.receive('b', { kind: 'appendEntries', term: 1, ...append });
  demand(
    out.some((each) => each.kind === 'send' && each.message.kind === 'appendAccepted'),
    'raft/trimmed-matches: what was trimmed agrees with the leader',
    () => out,
  );
}

/** A snapshot of a peer whose index is committed here. */
async function installBelow(): Promise<void> {
  const node = followerOf(3, 3);
  node.step({ kind: 'install', snapshot: { ...SNAPSHOT, index: 3 } });
  demand(
    node.state.log.first === 1,
    'snapshots/install-above-commit: nothing committed is taken back',
    () => node.state.log,
  );
}

/** A snapshot of a peer at an index where the log has another term. */
async function installedSuffix(): Promise<void> {
  const node = followerOf(4, 1);
  node.step({ kind: 'install', snapshot: { ...SNAPSHOT, index: 3 } });
  demand(
    node.state.log.last === 3,
    'raft/suffix-if-it-matches: what lies behind a snapshot stays if the log agrees with it, and only then',
    () => node.state.log,
  );
}

function lanesTo(node: Node, peer: ReplicaId): readonly Lane[] {
  const carries = ({ to, message }: Send<RaftMessage>): boolean =>
    to === peer && message.kind === 'appendEntries' && message.entries.length > 0;
  return node.sends.filter(carries).map(({ lane }) => lane);
}

/** A small append behind a large one takes its lane: in the other one it would arrive first. */
async function mixedAppends(): Promise<void> {
  const node = new Node('a');
  node.lead('b');
  node.sync();
  const { term } = node.state;
  node.receive('b', { kind: 'appendAccepted', wall: 0, term, viewId: node.session, match: 1 });
  const lanes: Lane[] = [];
  for (const bytes of [defaultLimits.messageBytes + 1, 1]) {
    propose(node, lanes.length + 1, bytes);
    lanes.push(...lanesTo(node, 'b'));
  }
  demand(
    lanes.join(' ') === 'bulk bulk',
    'replication/one-lane: appends that are under way keep one lane',
    () => lanes,
  );
}

/** A large append waits for the small ones before it: by their lane, the heartbeats would wait for it. */
async function largeBehindSmall(): Promise<void> {
  const node = new Node('a');
  node.lead('b');
  node.sync();
  const accept = (match: number): readonly Lane[] => {
    node.receive('b', { kind: 'appendAccepted', wall: 0, term: node.state.term, viewId: node.session, match });
    return lanesTo(node, 'b');
  };
  accept(1);
  propose(node, 1, 1);
  const lanes = [...lanesTo(node, 'b')];
  propose(node, 2, defaultLimits.messageBytes + 1);
  lanes.push(...lanesTo(node, 'b'), ...accept(2));
  demand(lanes.join(' ') === 'control bulk', 'replication/one-lane: no large append goes by `control`', () => lanes);
}

/** A caller whose number is not above all that wait would be lost in the books: the replica halts before. */
async function callers(): Promise<void> {
  const { world } = play(raftModel, 'elect n1\nrun 1000');
  const bare = new BareDriver(raftModel.protocol, driverIn(world, 'n1'), world.now);
  const commands = [7, 6].map((call) => ({ call, deadline: Infinity, data: Uint8Array.of(1) }));
  bare.step({ kind: 'propose', commands });
  const { phase } = bare.driver.status(bare.state);
  demand(phase === 'halted', 'requests/callers-ascend: a later caller has a higher number', () => phase);
}

/** The snapshot that a caller waits for fails: so does the call, once, and nothing is taken again for it. */
async function compactionFails(): Promise<void> {
  const { world } = play(raftModel, 'elect n1\nrun 1000');
  const state = driverIn(world, 'n1');
  const storing = { ...state, options: { ...state.options, storesSnapshots: true } };
  const bare = new BareDriver(raftModel.protocol, storing, world.now);
  bare.step({ kind: 'compact', call: { call: 1, deadline: Infinity }, keep: 0 });
  const [{ file } = { file: '' }] = bare.wants('takeSnapshot');
  bare.step({ kind: 'snapshotFailed', file, reason: 'no' });
  const again = bare.wants('takeSnapshot').length;
  demand(
    bare.failure(1)?.code === 'ERR_SNAPSHOT_FAILED' && again === 0,
    'snapshots/compact-holds-the-applied: who waits for a snapshot that fails is told',
    () => ({ failure: bare.failure(1), again }),
  );
}

export const coreScripts = {
  compactionFails,
  fullLeaderReads: () => fullLeaderReads(raftModel as unknown as AnyModel),
  roomBesideTheLane: () => madeBesideTheLane(raftModel as unknown as AnyModel),
  roomIsSparing: () => sparing(raftModel as unknown as AnyModel, 3000),
  olderSnapshot,
  installBelow,
  trimmedTooSoon,
  appendBelowBase,
  installedSuffix,
  'driver: callers': callers,
  'core: unsent forward': unsentForward,
  'core: mixed appends': mixedAppends,
  'core: large behind small': largeBehindSmall,
} as const;
