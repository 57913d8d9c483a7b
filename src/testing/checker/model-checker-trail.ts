/** The predecessor of each state of a search and the move from it, in typed arrays of 6 bytes a state. */

export class Trail {
  private parents = new Uint32Array(1 << 10);
  private moves = new Uint16Array(1 << 10);
  private size = 0;

  /** The next state, numbered from 0 in the order of adding, came from `parent` by its move of this number. */
  add(parent: number, move: number): void {
    if (this.size === this.parents.length) this.grow();
    if (move > 0xffff) throw new RangeError('a state has more than 65,536 moves');
    this.parents[this.size] = parent;
    this.moves[this.size] = move;
    this.size += 1;
  }

  /** The moves that lead from state 0 to this one. */
  to(state: number): readonly number[] {
    const moves: number[] = [];
    for (let at = state; at !== 0; at = this.parents[at] as number) moves.push(this.moves[at] as number);
    return moves.reverse();
  }

  private grow(): void {
    const { parents, moves } = this;
    this.parents = new Uint32Array(parents.length * 2);
    this.moves = new Uint16Array(moves.length * 2);
    this.parents.set(parents);
    this.moves.set(moves);
  }
}
