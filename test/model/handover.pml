/*
 * The handover between two generations, as core/handover-old.ts, core/handover-new.ts and core/handover-journal.ts have it, with FAULTS faults at
 * every moment: a generation killed as a whole (its copies of lock and listeners go), a supervisor killed and started again by its init (the
 * generation keeps them), a process stopped for a while or for ever. Silence may be suspected at any moment, rightly or not. Any write of the
 * journal before COMMIT may be refused (disk full).
 *
 * Left out: sizes, batches, STATE and heartbeats, which only add places to fail alike.
 *
 *   spin -a handover.pml && cc -DSAFETY -O2 -o pan pan.c && ./pan -E -m100000
 *   -DFAULTS=2                two faults
 *   -DNO_JOURNAL_LOCK, -DTAKE_BACK_BLINDLY, -DCLOSE_EARLY, -DNO_LOCK_WITH_COMMIT    mutations, each of which must fail
 */
#ifndef FAULTS
#define FAULTS 1
#endif

mtype = { LEASE, GRANTED, CLAIM, READY, COMMIT, OWNED, FINALIZE };
/* OFFER is part of GRANTED: it brings the listeners */
mtype = { none, transferring, committed, finalized, failed };
mtype = { busy, runs, owns, drained, gaveUp };

chan toNew = [4] of { mtype };
chan toOld = [4] of { mtype };

/* the journal */
mtype attempt = none;
bool namesNew = false;
/* 0 free, 1 OLD, 2 NEW */
byte journalLock = 0;

/* who holds what; a message holds what it carries until it is read, or its reader is gone */
bool lockOld = true, lockNew = false, lockSent = false;
bool listenOld = true, listenNew = false, listenSent = false;

bool oldClosed = false, newClosed = false;
bool aliveOld = true, aliveNew = true;
bool goesOld = true, goesNew = true;
/* the supervisor of the line died and is back: what ran before does not run any more */
bool firstOld = true, firstNew = true;
bool primaryNew = false;
mtype old = busy;
mtype new = busy;
bool aborted = false;

#define locked (lockOld || lockNew || lockSent)

#ifdef NO_JOURNAL_LOCK
#define take(who) skip
#define leave(who) skip
#else
#define take(who) atomic { journalLock == 0 -> journalLock = who }
#define leave(who) journalLock = 0
#endif

inline oldRuns() {
  d_step {
    assert(!aliveNew || new != owns);
    assert(lockOld && listenOld);
    oldClosed = true; old = runs
  }
}

inline oldDrains() {
  d_step {
    assert(attempt == finalized && namesNew);
    old = drained; lockOld = false; listenOld = false; oldClosed = true
  }
}

inline newOwns() {
  d_step {
    assert(!aliveOld || old != runs);
    assert(lockNew && listenNew);
    new = owns
  }
}

inline newGivesUp() {
  d_step {
    new = gaveUp; lockNew = false; listenNew = false; newClosed = true;
    lockSent = false; listenSent = false
  }
}

/* Decides, or obeys. `seen` is what was read: between reading and writing somebody else may write, unless he is locked out. */
inline settleOld() {
  take(1);
  seen = attempt;
#ifdef TAKE_BACK_BLINDLY
  seen = committed;
#endif
  if
  :: seen == finalized -> skip
  :: else -> d_step { namesNew = false; attempt = failed }
  fi;
  leave(1);
  if
  :: seen == finalized -> oldDrains()
  :: else -> oldRuns()
  fi
}

inline settleNew() {
  take(2);
  seen = attempt;
  if
  :: seen == committed -> d_step { namesNew = true; attempt = finalized }
  :: else -> skip
  fi;
  leave(2);
  if
  :: seen == committed || seen == finalized -> newOwns()
  :: else -> newGivesUp()
  fi
}

proctype Old() provided (goesOld && firstOld && aliveOld) {
  mtype seen;
  if
  :: toOld?LEASE
  :: true -> goto back /* nobody came, or a deadline, or BUSY */
  fi;
  if
  :: true -> take(1); attempt = transferring; leave(1)
  :: true -> goto back /* disk full */
  fi;
  d_step { toNew!GRANTED; listenSent = true };
  if
  :: toOld?CLAIM
  :: newClosed && empty(toOld) -> goto back
  :: true -> goto back
  fi;
  if
  :: toOld?READY
  :: newClosed && empty(toOld) -> goto back
  :: true -> goto back
  fi;
  if
  :: true ->
    take(1);
    d_step { assert(attempt == transferring); namesNew = true; attempt = committed };
    leave(1)
  :: true -> goto back /* disk full */
  fi;
#ifdef CLOSE_EARLY
  listenOld = false;
#endif
#ifdef NO_LOCK_WITH_COMMIT
  toNew!COMMIT;
#else
  d_step { toNew!COMMIT; lockSent = aliveNew && !newClosed };
#endif
  if
  :: toOld?OWNED
  :: newClosed && empty(toOld) -> goto reclaim
  :: true -> goto reclaim
  fi;
  /* probation */
  if
  :: true
  :: newClosed && empty(toOld) -> goto reclaim
  :: true -> goto reclaim
  fi;
  take(1);
  seen = attempt;
  if
  :: seen == committed -> attempt = finalized
  :: else -> skip
  fi;
  leave(1);
  if
  :: seen == committed || seen == finalized -> d_step { toNew!FINALIZE }; oldDrains()
  :: else -> goto reclaim
  fi;
  goto over;
back:
  if
  :: attempt == transferring -> settleOld()
  :: else -> oldRuns()
  fi;
  goto over;
reclaim:
  settleOld();
over:
  skip
}

/* a supervisor that was restarted reads the journal before anything else */
proctype OldAgain() provided (goesOld && aliveOld) {
  mtype seen;
  if
  :: attempt == none -> oldRuns()
  :: else -> settleOld()
  fi
}

proctype New() provided (goesNew && firstNew && aliveNew) {
  mtype seen;
  toOld!LEASE;
  if
  :: d_step { toNew?GRANTED -> listenNew = true; listenSent = false }
  :: oldClosed && empty(toNew) -> goto fail
  :: true -> goto fail
  fi;
  if
  :: oldClosed -> skip
  :: else -> toOld!CLAIM
  fi;
  /* preparing */
  if
  :: oldClosed && empty(toNew) -> goto orphan
  :: true -> goto orphan /* silence */
  :: true -> goto fail   /* it is not ready in time, or aborts */
  :: true
  fi;
  toOld!READY;
  if
#ifdef NO_LOCK_WITH_COMMIT
  :: d_step { toNew?COMMIT -> lockSent = false }
#else
  :: d_step { toNew?COMMIT -> lockNew = true; lockSent = false }
#endif
  :: oldClosed && empty(toNew) -> goto orphan
  :: true -> goto orphan
  :: true -> goto fail
  fi;
  /* has it been taken back meanwhile? */
  if
  :: attempt == committed || attempt == finalized -> skip
  :: else -> goto fail
  fi;
  primaryNew = true;
  toOld!OWNED;
  if
  :: toNew?FINALIZE -> d_step { assert(attempt == finalized) }; newOwns(); goto over
  :: oldClosed && empty(toNew) -> goto decide
  :: true -> goto decide
  :: true -> aborted = true; goto renounce
  fi;
renounce:
  /* OLD is asked to take back, by closing; if it does not, somebody has to own */
  newClosed = true;
  if
  :: toNew?FINALIZE -> newOwns(); goto over
  :: oldClosed && empty(toNew) -> goto decide
  :: true -> goto decide
  fi;
decide:
  settleNew();
  goto over;
orphan:
  /* what comes now is not read as a word any more; what it carries is closed */
  lockSent = false;
  if
  :: d_step { !locked -> lockNew = true };
    take(2);
    d_step { namesNew = true; attempt = finalized };
    leave(2);
    newOwns()
  :: locked -> newGivesUp()
  fi;
  goto over;
fail:
  newGivesUp();
over:
  skip
}

proctype NewAgain() provided (goesNew && aliveNew) {
  mtype seen;
  settleNew()
}

inline kill(who) {
  d_step {
    if
    :: who == 1 -> aliveOld = false; oldClosed = true; lockOld = false; listenOld = false
    :: else -> aliveNew = false; newClosed = true; lockNew = false; listenNew = false; lockSent = false; listenSent = false
    fi;
    if
    :: journalLock == who -> journalLock = 0
    :: else -> skip
    fi
  }
}

/* The supervisor alone: its generation keeps lock and listeners with the init. A candidate that was never primary is not started again. */
inline restart(who) {
  d_step {
    if
    :: who == 1 -> firstOld = false; oldClosed = true
    :: else -> firstNew = false; newClosed = true; lockSent = false; listenSent = false
    fi;
    if
    :: journalLock == who -> journalLock = 0
    :: else -> skip
    fi
  };
  if
  :: who == 1 -> run OldAgain()
  :: else -> run NewAgain()
  fi
}

active proctype Faults() {
  byte left = FAULTS;
  do
  :: left > 0 && aliveOld -> kill(1); left--
  :: left > 0 && aliveNew -> kill(2); left--
  :: atomic { left > 0 && aliveOld && firstOld && old == busy -> left--; restart(1) }
  :: atomic { left > 0 && aliveNew && firstNew && new == busy && primaryNew -> left--; restart(2) }
  :: left > 0 && aliveOld && goesOld -> goesOld = false; left--
  :: left > 0 && aliveNew && goesNew -> goesNew = false; left--
  :: !goesOld -> goesOld = true
  :: !goesNew -> goesNew = true
  :: true -> break /* who is stopped now is stopped for ever */
  od
}

#define overOld (!aliveOld || old != busy)
#define overNew (!aliveNew || new != busy)

/* Nothing can go on any more. */
active proctype Judge() {
  timeout;
  d_step {
    /* each has come to an end, unless it is stopped, or waits for a journal that somebody holds who is stopped */
    assert(overOld || !goesOld || (journalLock == 2 && !goesNew));
    assert(overNew || !goesNew || (journalLock == 1 && !goesOld));
    /* never two */
    assert(!(aliveOld && old == runs && aliveNew && new == owns));
    /* never none: what lives, goes and has come to an end includes an owner */
    assert(!(aliveOld && old == runs) || (lockOld && listenOld));
    assert(!(aliveNew && new == owns) || (lockNew && listenNew));
    /* OLD may only have gone because the journal says NEW, for good */
    assert(old != drained || (namesNew && attempt == finalized));
    assert(old != drained || !aliveNew || new == owns || !goesNew || new == busy);
    /* NEW failed and OLD lives: OLD is Running again */
    assert(!(aliveOld && goesOld && overOld && (new == gaveUp || (!aliveNew && attempt != finalized))) || old == runs);
    /* OLD is gone as a whole and NEW gave up: only when it had nothing yet, or was told so */
    assert(!(aliveOld && aliveNew && goesOld && goesNew && overOld && overNew) || ((old == runs) != (new == owns)))
  }
}

init {
  atomic { run Old(); run New() }
}
