/**
 * Checks leadership as an application follows it: the signal of a state has aborted when the next state is given,
 * leading means that the no-op at the fence is applied, and each leadership of the cluster has a larger fence than any
 * of an earlier term. Two members may both claim to lead for a moment; fences exist to tell them apart.
 */

import type { Leadership } from '../../replica/leadership.js';
import type { Replica } from '../../replica/replica.js';
import type { Trace } from './trace.js';

interface MemberLeadership {
  readonly member: string;
  readonly boot: number;
  readonly term: number;
  readonly fence: number;
}

/** All leaderships of a run. */
export class ClusterLeaderships {
  private readonly byTerm = new Map<number, MemberLeadership>();
  private readonly trace: Trace;

  constructor(trace: Trace) {
    this.trace = trace;
  }

  begun(leadership: MemberLeadership): void {
    const { member, boot, term, fence } = leadership;
    const same = this.byTerm.get(term);
    const name = `${member} in term ${term} with fence ${fence}`;
    if (same !== undefined && (same.member !== member || same.boot !== boot || same.fence !== fence)) {
      this.trace.violate('leadership/one-leader-per-term', `${name}, and ${same.member} with ${same.fence}`);
    }
    this.byTerm.set(term, leadership);
    for (const other of this.byTerm.values()) {
      if (Math.sign(other.term - term) !== Math.sign(other.fence - fence)) {
        this.trace.violate(
          'leadership/fences-rise',
          `${name}, and ${other.member} in term ${other.term} with ${other.fence}`,
        );
      }
    }
  }
}

/** Follows the leadership of one start, as an application would, until the replica is closed or its process killed. */
export class LeadershipWatcher {
  /** The state last given. */
  last: Leadership | null = null;
  ended = false;
  private readonly name: string;
  private readonly replica: Replica;
  private readonly trace: Trace;
  private readonly leaderships: ClusterLeaderships;

  constructor(name: string, replica: Replica, trace: Trace, leaderships: ClusterLeaderships) {
    this.name = name;
    this.replica = replica;
    this.trace = trace;
    this.leaderships = leaderships;
    this.follow().catch((error: unknown) => trace.violate('leadership/told-truly', `${name}: ${String(error)}`));
  }

  private async follow(): Promise<void> {
    for await (const state of this.replica.leadership()) this.see(state);
    this.ended = true;
    if (this.last?.signal.aborted === false)
      this.trace.violate('leadership/told-truly', `${this.name}: closed without an abort`);
  }

  private see(state: Leadership): void {
    const { name, last, trace } = this;
    const { leading, leader, term, fence, signal } = state;
    trace.tell(`${name} ${leading ? 'leads' : `follows ${leader ?? 'nobody'}`} in ${term} fence ${fence}`);
    if (last !== null && !last.signal.aborted)
      trace.violate('leadership/told-truly', `${name}: a state ended without an abort`);
    if (last?.leading === true && !leading) trace.cover('leadership ends');
    this.last = state;
    if (!leading || signal.aborted) return;
    const { id, boot, applied } = this.replica.status();
    if (leader !== id || fence < 1 || applied < fence) {
      trace.violate('leadership/told-truly', `${name} leads by ${fence}, applied ${applied}, under ${String(leader)}`);
    }
    this.leaderships.begun({ member: id, boot, term, fence });
  }
}
