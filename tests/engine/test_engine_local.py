"""Worker processes: results, failures, deaths and what is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pool_jobs
import pytest

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.local import LocalPool, worker_context
from rpo_bench.engine.pool.run_jobs import run_jobs
from rpo_bench.errors import UserError


class Recorder:
    def __init__(self):
        self.events = []

    def started(self, job):
        self.events.append(("started", job.key))

    def progress(self, job, progress):
        self.events.append(("progress", job.key, progress))

    def ended(self, outcome):
        self.events.append(("ended", outcome.job.key, outcome.status))

    def tick(self):
        pass


def make(tmp_path, key, what, argument=None, needs=()):
    log = tmp_path / f"{key}.log"
    return Job(key=key, cell=key, phase="x", log=log, needs=frozenset(needs), payload=(what, argument))


def run(jobs, workers=2, observer=None):
    with LocalPool(worker_context(), pool_jobs.perform, workers) as pool:
        outcomes = run_jobs(pool, jobs, observer or Recorder())
    return {outcome.job.key: outcome for outcome in outcomes}


def test_values_come_back_and_workers_are_kept(tmp_path):
    jobs = [make(tmp_path, f"j{i}", "value", i) for i in range(5)] + [
        make(tmp_path, f"p{i}", "pid") for i in range(5)
    ]
    ended = run(jobs, workers=2)
    assert [ended[f"j{i}"].value for i in range(5)] == list(range(5))
    assert len({ended[f"p{i}"].value for i in range(5)}) <= 2
    assert ended["j0"].work_seconds == 0.01


def test_a_failing_job_keeps_its_traceback_and_takes_no_other_with_it(tmp_path):
    jobs = [
        make(tmp_path, "bad", "raise", "this"),
        make(tmp_path, "after", "value", 1, needs=["bad"]),
        make(tmp_path, "good", "value", 2),
    ]
    ended = run(jobs)
    assert (ended["bad"].status, ended["bad"].reason) == ("failed", "ValueError: broken: this")
    assert ended["after"].status == "dropped"
    assert ended["good"].status == "done"
    log = (tmp_path / "bad.log").read_text()
    assert "on the way to the error" in log
    assert "Traceback" in log
    assert "broken: this" in log


def test_a_killed_worker_is_replaced_and_its_job_done_again(tmp_path):
    jobs = [make(tmp_path, "once", "die_once", str(tmp_path / "mark")), make(tmp_path, "good", "value", 2)]
    ended = run(jobs)
    assert (ended["once"].status, ended["once"].value) == ("done", "second time")
    assert ended["good"].status == "done"


def test_a_job_that_kills_two_workers_fails(tmp_path):
    ended = run([make(tmp_path, "deadly", "die"), make(tmp_path, "good", "value", 2)], workers=1)
    assert ended["deadly"].status == "failed"
    assert "killed by signal 9" in ended["deadly"].reason
    assert ended["good"].status == "done"


def test_a_full_disk_stops_the_run_with_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"No space left on device.*Finished work is kept"):
        run([make(tmp_path, "full", "disk_full", "/x"), make(tmp_path, "next", "value")], workers=1)


def test_a_user_error_is_its_sentence(tmp_path):
    assert run([make(tmp_path, "u", "user_error", "Mend this.")])["u"].reason == "Mend this."


def test_progress_arrives(tmp_path):
    recorder = Recorder()
    run([make(tmp_path, "long", "steps", 3)], observer=recorder)
    steps = [event[2].step for event in recorder.events if event[0] == "progress"]
    assert steps == [0, 1, 2]
    assert recorder.events[0] == ("started", "long")
    assert recorder.events[-1] == ("ended", "long", "done")


def test_workers_die_with_the_process_that_runs_the_pool(tmp_path):
    """The parent alone is killed with SIGKILL: its worker stops writing within a second."""
    mark = tmp_path / "mark"
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import pool_jobs, test_engine_local as t\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    t.run([t.make(Path({str(tmp_path)!r}), 'j', 'touch_forever', {str(mark)!r})])\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        wait_for(mark.exists)
        wait_for(lambda: mark.read_text() != "")
        worker = int(mark.read_text())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not alive(worker), seconds=60)
    finally:
        parent.kill()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
