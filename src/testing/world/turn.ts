/**
 * A turn carries out actions on a draft of a world, each with all its immediate consequences. It is composed of the
 * network, the disks, the applications, the callers and the processes; this file passes each action to one of them.
 * The checks of every step, message, write and answer run on the way.
 */

import type { ReplicaId } from '../../core/members.js';
import type { DiskView } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { StateMachine } from '../../replica/state-machine.js';
import type { Action } from './actions.js';
import { Applications } from './applications.js';
import { Callers } from './callers.js';
import { Disks } from './disks.js';
import { WorldDraft, type Watcher } from './draft.js';
import type { Observer } from './facts.js';
import { Hosting } from './hosting.js';
import { Network } from './network.js';
import type { RecordDraft } from './record.js';
import { Snapshots } from './snapshots.js';
import type { Link, Rules, Slot, World } from './state.js';

/** An action on one replica. */
type ReplicaAction = Extract<Action, { readonly replica: ReplicaId }>;

export class Turn {
  readonly rules: Rules;
  readonly record: RecordDraft;
  readonly network: Network;
  private readonly draft: WorldDraft;
  private readonly disks: Disks;
  private readonly applications: Applications;
  private readonly snapshots: Snapshots;
  private readonly callers: Callers;
  private readonly hosting: Hosting;

  constructor(world: World, observer?: Observer) {
    const draft = new WorldDraft(world, observer);
    this.draft = draft;
    this.rules = draft.rules;
    this.record = draft.record;
    this.network = new Network(draft);
    this.disks = new Disks(draft);
    this.applications = new Applications(draft);
    this.snapshots = new Snapshots(draft);
    this.callers = new Callers(draft);
    const { network, disks, applications, snapshots, callers } = this;
    this.hosting = new Hosting(draft, { network, disks, applications, snapshots, callers });
  }

  // Reading.

  get now(): Milliseconds {
    return this.draft.now;
  }

  set now(now: Milliseconds) {
    this.draft.now = now;
  }

  set watcher(watcher: Watcher | null) {
    this.draft.watcher = watcher;
  }

  slot(place: number): Slot {
    return this.draft.slot(place);
  }

  link(from: number, to: number): Link {
    return this.draft.link(from, to);
  }

  /** The data that a loss of power would leave. */
  diskView(place: number): DiskView {
    return this.draft.diskView(place);
  }

  /** The state machine of a replica, as far as it has come. */
  machine(place: number): StateMachine {
    return this.draft.machine(place);
  }

  /** Starts over with another world of the same rules, which is much cheaper than a new turn. */
  rewind(world: World): void {
    this.draft.rewind(world);
  }

  /** The world as it is now. The turn may go on. */
  finish(): World {
    return this.draft.finish();
  }

  // Acting.

  /**
   * Carries out an action with all its immediate consequences.
   * @throws InvariantViolation when a rule is broken; the turn must not be used afterwards
   */
  run(action: Action): void {
    const { draft } = this;
    const { pending } = draft;
    if (action.at > draft.now) draft.now = action.at;
    if (draft.observed) draft.tell({ kind: 'action', action });
    this.begin(action);
    if (pending.length === 0) return;
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      this.hosting.step(next.place, next.event);
    }
  }

  private begin(action: Action): void {
    switch (action.kind) {
      case 'deliver':
      case 'duplicate':
      case 'drop': {
        const event = this.network.move(action);
        return event === null ? undefined : this.hosting.step(this.draft.placeOf(action.to), event);
      }
      case 'cut':
      case 'heal':
        return this.network.cut(action.from, action.to, action.kind === 'cut');
      case 'refuse':
      case 'accept':
        return this.network.refuse(action);
      case 'cancel':
        return this.callers.cancel(action.calls);
      case 'wait':
        return;
      default:
        return this.beginAt(this.draft.placeOf(action.replica), action);
    }
  }

  private beginAt(place: number, action: ReplicaAction): void {
    const { draft, hosting, disks } = this;
    const slot = draft.slot(place);
    switch (action.kind) {
      case 'sync':
        return disks.sync(place);
      case 'crash':
        return hosting.crash(place, action.keep);
      case 'restart':
      case 'wipe':
        return hosting.restart(place, action.kind === 'wipe');
      case 'failStorage':
        return disks.fail(place, action.keep);
      case 'free':
        return disks.free(place);
      case 'pause':
      case 'resume':
        draft.ownSlot(place).paused = action.kind === 'pause' && slot.process !== null;
        return draft.watcher?.touched(place);
      case 'leap':
        return draft.setClock(place, draft.local(place) + action.by, slot.clock.rate);
      case 'wall':
        draft.ownSlot(place).ahead = action.ahead;
        return;
      case 'rate':
        return draft.setClock(place, draft.local(place), action.rate);
      default:
        if (slot.process !== null && !slot.paused) this.happen(place, action);
    }
  }

  /** Actions that need a running process. */
  private happen(place: number, action: ReplicaAction): void {
    const { draft, hosting, disks, callers } = this;
    const { kind } = action;
    switch (kind) {
      case 'timeout':
        hosting.leapToDeadline(place);
        return hosting.tick(place);
      case 'tick':
        return hosting.tick(place);
      case 'campaign':
        return hosting.step(place, { kind, now: draft.local(place) });
      case 'transfer':
        return callers.transfer(place, action.to, action.timeout);
      case 'leave': {
        const now = draft.local(place);
        return hosting.step(place, { kind, now, deadline: now + action.timeout });
      }
      case 'disconnect': {
        const { peer, lane } = action;
        this.network.lose(place, draft.placeOf(peer), lane);
        return hosting.step(place, { kind: 'disconnected', now: draft.local(place), peer, lane });
      }
      case 'unreachable':
        return hosting.step(place, { kind, now: draft.local(place), peer: action.peer });
      case 'stop':
        return hosting.stop(place);
      case 'written':
        return disks.reportWritten(place);
      case 'loaded':
        return disks.answerLoad(place);
      case 'fill':
        return disks.fill(place, action.room);
      case 'applied':
        return this.applications.apply(place);
      case 'snapshotted':
        return action.fails ? this.snapshots.fail(place) : this.snapshots.complete(place);
      case 'compact':
        if (this.rules.program.kind !== 'core') return;
        return hosting.step(place, { kind: 'takeSnapshot', now: draft.local(place) });
      case 'install':
        if (this.rules.program.kind !== 'core') return;
        return this.snapshots.bring(place, draft.placeOf(action.peer));
      case 'restored':
        return this.snapshots.restored(place);
      case 'propose':
        return callers.propose(place, action.command, action.timeout, action.padding);
      case 'read':
        return callers.read(place, action.minIndex, action.timeout, action.by);
    }
  }
}
