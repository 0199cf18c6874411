import signal
from child import At
from conftest import SHORT
import pytest, os

def show(r): print(r.code); print(r.out); print(r.err)

def test_a(inception, split, finished):
    import subprocess
    print(subprocess.run(["ls","-laR",finished],capture_output=True,text=True).stdout)
    print((finished/"metrics.csv").read_text(), (finished/"metrics.json").read_text())

@pytest.mark.parametrize("signum",[2,15])
@pytest.mark.parametrize("nth",[5,14])
def test_workers(inception, split, signum, nth, tmp_path):
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", "--workers", 2, at=(At("*/train/*", nth=nth, signum=signum, group=True),)))

@pytest.mark.parametrize("signum",[2,15,9])
def test_sig(inception, split, signum, tmp_path):
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/train/*", nth=40, signum=signum),)))
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", "--resume"))
def test_val(inception, split, tmp_path):
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/val/*", nth=4, signum=15),)))
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", "--resume"))
def test_val2(inception, split, tmp_path):
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/val/*", nth=12, signum=15),)))
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/val/*", nth=24, signum=15),)))
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/val/*", nth=30, signum=15),)))
def test_err(inception, split, tmp_path):
    show(inception("train", split, *SHORT, "--out", tmp_path/"r", at=(At("*/val/*", nth=4),)))
