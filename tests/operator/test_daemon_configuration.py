import shlex

import pytest
from supervisor.options import ServerOptions

from controlroom.supervisor.daemon import configuration
from controlroom.supervisor.programs import Program
from events.children import bound_to_named
from events.paths import DataPaths


@pytest.mark.parametrize("name", ["plain", "with space", "100%", 'quo"te', "it's", "%(here)s", "semi;colon"])
def test_supervisor_reads_back_every_path_and_argument(short_dir, monkeypatch, name):
    root = short_dir / name
    (root / "run").mkdir(parents=True)
    (root / "logs").mkdir()
    paths = DataPaths(root)
    program = Program("worker", ("/bin/echo", str(root), "two words"), "servers", 1, 4.0, None)
    file = short_dir / "supervisord.conf"
    file.write_text(configuration(paths, [program]))

    monkeypatch.chdir(root)
    options = ServerOptions()
    options.realize(["-n", "-c", str(file)])

    (group,) = options.process_group_configs
    (process,) = group.process_configs
    assert shlex.split(process.command) == bound_to_named(["/bin/echo", str(root), "two words"])
    assert process.stdout_logfile == "logs/worker.out"
    assert (process.stopwaitsecs, process.autostart) == (4, False)
    (server,) = options.server_configs
    assert (server["file"], server["chmod"]) == (str(paths.socket("supervisor")), 0o700)
