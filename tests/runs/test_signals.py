"""The first signal is a request, the second is obeyed at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from mppi_zoo.runs.signals import STOP_SIGNALS, Interrupted, StopSignals


@pytest.mark.parametrize("name", STOP_SIGNALS)
def test_a_signal_is_noted_and_the_handler_before_comes_back(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)
    with StopSignals() as stop:
        stop.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted, match=name):
            stop.check()
    assert stop.received == name and signal.getsignal(number) == before
    assert f"{name}: stopping after this step" in capfd.readouterr().err


def test_outside_the_main_thread_nothing_is_installed() -> None:
    before, received = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with StopSignals() as stop:
            received.append((stop.received, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert received == [("", before)]


def test_a_repeated_signal_is_one_request() -> None:
    program = (
        "import signal, time\nfrom mppi_zoo.runs import signals\n"
        "with signals.StopSignals() as stop:\n"
        "    signal.raise_signal(signal.SIGTERM)\n    signal.raise_signal(signal.SIGTERM)\n"
        "    print(stop.received, flush=True)\n    signals.SAME = 0.0\n    time.sleep(0.01)\n"
        "    signal.raise_signal(signal.SIGTERM)\nprint('not reached')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM and done.stdout == "SIGTERM\n"


def test_a_second_signal_stops_at_once() -> None:
    code = (
        "import signal\nfrom mppi_zoo.runs.signals import StopSignals\n"
        "with StopSignals():\n    signal.raise_signal(signal.SIGTERM)\n"
        "    signal.raise_signal(signal.SIGINT)\nprint('not reached')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT and done.stdout == ""
    assert "SIGTERM: stopping after this step" in done.stderr
