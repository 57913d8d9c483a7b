/** A client's session: commands that take effect once, whatever becomes of the client's process. */

import type { AnyMachine, CommandOf, ResultOf } from './options.js';
import type { RequestOptions, WithIndex } from './replica.js';

/** Options of `Replica.session`. */
export interface SessionOptions extends RequestOptions {
  /** The id of the session that is to be attached: it is not created if it is gone. Without it, one may be created. */
  readonly id?: number | undefined;
}

/** Options of `ClientSession.propose`. */
export interface SequenceOptions extends RequestOptions {
  /** The client's number of the command, from 1 to 2^52: a retry has the number and the command of the first try. */
  readonly sequence: number;
  /** `true`: the result comes with the index at which the command took effect. */
  readonly meta?: boolean | undefined;
}

/** One attach of a session, until somebody else attaches it. Made by `Replica.session`. */
export interface ClientSession<M extends AnyMachine = AnyMachine> {
  readonly name: string;
  /** To be stored beside the sequence: with it the session is attached, and never created anew. */
  readonly id: number;
  /**
   * Replicates a command that takes effect at most once under its sequence, on whichever replica and by whichever
   * process it is proposed: a retry is answered with the first result. Throws and rejects like `Replica.propose`, and
   * with ERR_SESSION_EXPIRED or ERR_SESSION_FENCED (the command may have taken effect before), ERR_SEQUENCE_REUSED
   * (the sequence is another command's), ERR_SEQUENCE_COMPLETED, or ERR_BUSY: the sequence is `sessionWindow` or more
   * above the lowest that is not completed, or sessions hold too many bytes.
   */
  propose(command: CommandOf<M>, options: SequenceOptions & { readonly meta: true }): Promise<WithIndex<ResultOf<M>>>;
  propose(
    command: CommandOf<M>,
    options: SequenceOptions & { readonly meta?: false | undefined },
  ): Promise<ResultOf<M>>;
  /**
   * The client is done with all sequences up to this one: their results need not be kept. The cluster hears it with the
   * next command. Throws ERR_INVALID_ARGUMENT for anything but a sequence.
   */
  completed(sequence: number): void;
  /**
   * Ends the session for good: its name may be opened anew. Resolves also if it is gone already. Throws and
   * rejects like `Replica.propose`, and with ERR_SESSION_FENCED. The handle is of no more use whatever comes of it.
   */
  close(options?: RequestOptions): Promise<void>;
}
