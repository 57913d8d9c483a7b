/** A bank as a replicated state machine, twice: once with a bug that looks right, once mended. */

import { CommandRejected, type StateMachine } from 'quorate';

export type BankCommand =
  | { readonly kind: 'open' | 'close'; readonly account: string }
  | { readonly kind: 'deposit'; readonly account: string; readonly amount: number }
  | { readonly kind: 'transfer'; readonly from: string; readonly to: string; readonly amount: number };

export interface BankSnapshot {
  readonly balances: readonly (readonly [account: string, balance: number])[];
  /** What was paid in and not paid out again. */
  readonly held: number;
}

/** Every command gives the balance of the account that it names first. */
export class Bank implements StateMachine<BankCommand, number, BankSnapshot> {
  protected balances = new Map<string, number>();
  private held = 0;

  apply(command: BankCommand): number {
    switch (command.kind) {
      case 'open':
        if (this.balances.has(command.account)) throw new CommandRejected('it is open');
        this.balances.set(command.account, 0);
        return 0;
      case 'deposit':
        return this.deposit(command.account, command.amount);
      case 'close':
        this.held -= this.balance(command.account);
        this.balances.delete(command.account);
        return 0;
      case 'transfer':
        return this.transfer(command.from, command.to, command.amount);
    }
  }

  private deposit(account: string, amount: number): number {
    const balance = this.change(account, amount);
    this.held += amount;
    return balance;
  }

  /**
   * The planted bug: `change` refuses a closed account, and for `to` that is too late. A command that is refused may
   * have changed nothing, but here the money has already left.
   */
  protected transfer(from: string, to: string, amount: number): number {
    if (this.balance(from) < amount) throw new CommandRejected('not enough');
    const left = this.change(from, -amount);
    this.change(to, amount);
    return left;
  }

  protected change(account: string, by: number): number {
    const after = this.balance(account) + by;
    this.balances.set(account, after);
    return after;
  }

  protected balance(account: string): number {
    const balance = this.balances.get(account);
    if (balance === undefined) throw new CommandRejected('no such account');
    return balance;
  }

  snapshot(): BankSnapshot {
    return { balances: [...this.balances], held: this.held };
  }

  restore({ balances, held }: BankSnapshot): void {
    this.balances = new Map(balances);
    this.held = held;
  }
}

/** Looks before it changes anything. */
export class MendedBank extends Bank {
  protected override transfer(from: string, to: string, amount: number): number {
    this.balance(to);
    return super.transfer(from, to, amount);
  }
}

/** What must hold after every command. Money neither comes from nowhere nor goes there. */
export function audit({ balances, held }: BankSnapshot): void {
  const sum = balances.reduce((total, [, balance]) => total + balance, 0);
  if (sum !== held) throw new Error(`money is conserved: the accounts hold ${sum}, the bank ${held}`);
}
