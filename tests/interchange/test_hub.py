"""Fetching the official set, against a stand-in of the hub on this machine (the original cannot be reached here)."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from foreign_files import frames_of, tree, write_ase
from hub_stand_in import COMMIT, serve

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange import hub
from compbench_jax.molecules.registry import find_molecule
from compbench_jax.store.store import open_store


@pytest.fixture(scope="module")
def files(part, tmp_path_factory):
    """The repository as it is described in public: trajectories of ASE, trained models, and what all have."""
    folder = tmp_path_factory.mktemp("repository")
    content = {".gitattributes": b"* filter=lfs\n", "README.md": b"# GMD\n"}
    for molecule, name in ((0, "ethane"), (1, "ethanol")):
        for set in ("primary", "secondary"):
            path = write_ase(folder / f"{name}_{set}.traj", frames_of(part, molecule, set))
            content[f"data/{name}_{set}.traj"] = path.read_bytes()
    content["data/notes.pkl"] = b"\x80\x04."
    content["trained_models/mace.pt"] = b"weights" * 100
    return content


@pytest.fixture
def server(files):
    with serve(dict(files)) as running:
        yield running


def listing_of(server):
    return hub.list_files(endpoint=server.endpoint)


def test_listing_resolves_the_commit_and_has_data_files_only(server, files):
    listing = listing_of(server)
    assert listing.commit == COMMIT
    assert [file.path for file in listing.files] == sorted(name for name in files if name.endswith(".traj"))
    assert all(file.size == len(files[file.path]) and file.sha256 for file in listing.files)
    assert hub.list_files(COMMIT, server.endpoint) == listing
    with pytest.raises(CompBenchError, match="no such revision"):
        hub.list_files("f" * 40, server.endpoint)


def test_choice_by_pattern_and_molecule(server):
    listing = listing_of(server)

    def paths(patterns, *names):
        return [file.path for file in hub.choose(listing, patterns, [find_molecule(name) for name in names])]

    assert len(paths(hub.DEFAULT_PATTERNS)) == 4
    assert paths(hub.DEFAULT_PATTERNS, "ethanol") == ["data/ethanol_primary.traj", "data/ethanol_secondary.traj"]
    assert paths(["*_primary.traj"], "CC") == ["data/ethane_primary.traj"]
    with pytest.raises(CompBenchError, match=r"fits nothing\* \(its files are named like data/ethane_primary"):
        paths(["nothing*"])
    with pytest.raises(CompBenchError, match=r"no file name mentions hexane .*choose with --pattern"):
        paths(hub.DEFAULT_PATTERNS, "hexane")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/ethane.traj", "ethane"),
        ("data/ethane-1,2-diol/run1.traj", "ethane-1,2-diol"),
        ("data/Propanedioic_Acid_500.traj", "propanedioic acid"),
        ("data/acetic acid.traj", "ethanoic acid"),
        ("OTMSDBZUPAUEDD-UHFFFAOYSA-N/b.traj", "ethane"),
        ("data/4-aminobutanoic-acid.traj", "4-aminobutanoic acid"),
        ("data/cyclopropane.traj", None),
    ],
)
def test_molecules_named_in_paths(path, name):
    assert hub.named_molecules(path) == ({name} if name else set())


def test_files_arrive_whole_and_are_taken_over_the_second_time(server, files, tmp_path):
    listing = listing_of(server)
    chosen = hub.choose(listing, hub.DEFAULT_PATTERNS, [])
    paths = hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    for path, file in zip(paths, chosen, strict=True):
        assert path.read_bytes() == files[file.path]
    assert sorted(path for path, _ in server.fetched()) == [file.path for file in chosen]
    server.requests.clear()
    hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    assert server.fetched() == []


def test_a_cut_connection_is_taken_up_where_it_broke(server, files, tmp_path, monkeypatch):
    import huggingface_hub.constants as client

    monkeypatch.setattr(client, "DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB otherwise: what arrived of a chunk is lost
    name = "data/ethanol_primary.traj"
    server.cut.add(name)
    listing = listing_of(server)
    (path,) = hub.fetch(listing, hub.choose(listing, [name], []), tmp_path / "raw", endpoint=server.endpoint)
    assert path.read_bytes() == files[name]
    (_, first), (_, second) = server.fetched()
    assert first is None
    start = int(second.removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= len(files[name]) // 2


def test_a_download_that_failed_goes_on_with_the_files_that_are_missing(server, files, tmp_path, monkeypatch):
    import huggingface_hub.file_download as client

    monkeypatch.setattr(client.time, "sleep", lambda _: None)  # it waits a second before each of five new attempts
    server.dead.add("data/ethanol_primary.traj")
    listing = listing_of(server)
    chosen = hub.choose(listing, hub.DEFAULT_PATTERNS, [])
    with pytest.raises(
        CompBenchError, match=r"fetching data/ethanol_primary\.traj .*run the same command to go on"
    ) as e:
        hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    assert "\n" not in str(e.value)
    assert not (tmp_path / "raw" / "data" / "ethanol_primary.traj").exists()
    server.dead.clear()
    server.requests.clear()
    hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    assert [path for path, _ in server.fetched()] == ["data/ethanol_primary.traj", "data/ethanol_secondary.traj"]


@pytest.mark.parametrize("small", [False, True])
def test_a_wrong_checksum_removes_the_file(server, files, tmp_path, small):
    name = "data/small.xyz" if small else "data/ethane_primary.traj"
    server.files.setdefault(name, b"few bytes, no large file: git's own checksum")
    server.corrupt.add(name)
    listing = listing_of(server)
    chosen = hub.choose(listing, [name], [])
    assert (chosen[0].sha256 is None) == small
    with pytest.raises(DataError, match=r"differs from its checksum on the hub and was removed"):
        hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    assert not (tmp_path / "raw" / name).exists()
    server.corrupt.clear()
    (path,) = hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)
    assert path.read_bytes() == server.files[name]
    path.write_bytes(path.read_bytes()[:-1] + b"?")  # damaged on this side later
    with pytest.raises(DataError, match="differs from its checksum"):
        hub.fetch(listing, chosen, tmp_path / "raw", endpoint=server.endpoint)


@pytest.mark.parametrize("path", ["../evil.traj", "data/../../evil.traj", "/evil.traj", "data\\evil.traj", ".x/e.traj"])
def test_names_that_lead_out_of_the_folder_are_refused(server, tmp_path, path):
    server.extra_tree.append({"type": "file", "path": path, "size": 1, "oid": "0" * 40})
    with pytest.raises(DataError, match="leads out of the folder or hides"):
        listing_of(server)


def test_a_link_in_the_raw_folder_is_not_written_through(server, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data").symlink_to(tmp_path / "elsewhere")
    listing = listing_of(server)
    with pytest.raises(DataError, match="by a link"):
        hub.fetch(listing, listing.files, tmp_path / "raw", endpoint=server.endpoint)
    assert tree(tmp_path / "elsewhere") == []


def test_no_network_is_one_line(tmp_path):
    with pytest.raises(CompBenchError, match="no connection to the hub") as caught:
        hub.list_files(endpoint="http://127.0.0.1:9")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "online", "message"),
    [
        (["--dry-run"], True, ""),
        ([], True, "error: nothing was fetched: confirm with --yes"),
        (["--yes"], False, "error: asking the hub for its files of AmirMasoud/GMD: no connection to the hub"),
    ],
)
def test_nothing_is_fetched_unasked_or_offline(server, tmp_path, monkeypatch, capsys, options, online, message):
    import huggingface_hub.constants as client

    monkeypatch.setattr(client, "ENDPOINT", server.endpoint if online else "http://127.0.0.1:9")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code = exit_code_of(lambda: run_command(["download", "gmd26", "--out", str(tmp_path / "store"), *options]))
    shown = capsys.readouterr()
    assert code == (2 if message else 0)
    assert shown.err.startswith(message) and shown.err.count("\n") == bool(message)
    if online:
        assert f"AmirMasoud/GMD at commit {COMMIT}" in shown.out
        assert "data/ethane_primary.traj" in shown.out and "4 files, " in shown.out
        assert server.fetched() == []
    assert tree(tmp_path) == []


def test_the_command_from_end_to_end(server, part, tmp_path):
    environment = {**os.environ, "HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "home")}
    words = ("download", "gmd26", "--out", "store", "--molecules", "ethanol", "--yes")
    code = "import sys; from compbench_jax.cli.main import main; sys.argv[0] = 'compbench'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    store = open_store(tmp_path / "store", checksums=True)
    for set in ("primary", "secondary"):
        got, expected = frames_of(store, 0, set), frames_of(part, 1, set)
        np.testing.assert_array_equal(got.positions, expected.positions)
        np.testing.assert_array_equal(got.energy, expected.energy)
    assert store.manifest.settings["revision"] == COMMIT
    assert store.manifest.settings["repository"] == "AmirMasoud/GMD"
    assert store.manifest.level["method"] == "PBE-D3(BJ)"
    assert [s["file"] for s in store.manifest.settings["sources"]] == [
        "data/ethanol_primary.traj",
        "data/ethanol_secondary.traj",
    ]
    assert {name.split("/")[0] for name, _ in tree(tmp_path)} == {"store"}  # nothing beside it, no cache elsewhere
