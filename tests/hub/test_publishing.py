"""Entries to a real server by the real client: what is sent, when, and what is not."""

import socket
from pathlib import Path

import numpy as np
import pytest

import pinnzoo
from pinnzoo import plots
from pinnzoo.errors import DownloadError, EntryError, IntegrityError
from pinnzoo.hub import publishing
from pinnzoo.hub import remote as hub
from pinnzoo.storage.folder import CARD, EntryFolder
from tests.store.made_entries import edit_json, made_entry

NAME = "burgers-mlp-levenberg_marquardt"
REPOSITORY = f"loop/{NAME}"


def publish(folder, tag="v1"):
    return publishing.publish([EntryFolder.open(folder)], "loop", tag=tag, api=hub.client())


@pytest.fixture
def own(made, tmp_path):
    """A copy of the entry's folder that may be changed."""
    import shutil

    return shutil.copytree(made, tmp_path / made.name)


@pytest.fixture
def no_pictures(monkeypatch):
    """Draw nothing, which takes most of the time of a push: for tests that look at other files."""
    monkeypatch.setattr(plots, "save_plots", lambda _entry, _folder: [])


def test_repository_holds_the_entry_in_one_commit_and_the_tag_comes_last(server, made):
    pins = publish(made)
    there = server.state.repositories[REPOSITORY]
    assert len(there.commits) == 2
    files = {p.relative_to(made).as_posix(): p for p in made.rglob("*") if p.is_file()}
    tree = there.commits[there.head]
    assert {name: file.content for name, file in tree.items() if name != ".gitattributes"} == {
        name: path.read_bytes() for name, path in files.items()
    }
    assert there.tags == {"v1": there.head} == {"v1": pins["entries"][NAME]["revision"]}
    order = [line for line in server.state.log if "/commit/" in line or "/tag/" in line]
    assert [line.split("/")[-2] for line in order] == ["commit", "tag"]
    (collection,) = server.state.collections.values()
    assert [item["id"] for item in collection["items"]] == [REPOSITORY]


def test_publishing_again_sends_nothing(server, made):
    first = publish(made)
    server.state.log.clear()
    assert publish(made) == first
    sent = [line for line in server.state.log if not line.startswith(("GET", "HEAD"))]
    assert [line for line in sent if "create" not in line and "collections" not in line] == []
    assert len(server.state.repositories[REPOSITORY].commits) == 2


def test_changed_entry_is_one_more_commit_without_what_is_gone(server, own):
    publish(own)
    (own / "plots" / "solution.png").rename(own / "plots" / "drift.png")
    (own / CARD).write_text("---\nlibrary_name: pinnzoo\n---\nnew\n")
    publish(own, tag="v2")
    there = server.state.repositories[REPOSITORY]
    tree = there.commits[there.head]
    assert len(there.commits) == 3
    assert tree[CARD].content.endswith(b"new\n")
    assert "plots/drift.png" in tree
    assert "plots/solution.png" not in tree
    assert set(there.tags) == {"v1", "v2"}


def test_a_repository_keeps_what_is_no_part_of_an_entry(server, own):
    api = hub.client()
    api.create_repo(REPOSITORY)
    for name in ("train.py", "LICENSE", "data/a.csv"):
        api.upload_file(path_or_fileobj=b"mine", path_in_repo=name, repo_id=REPOSITORY)
    for tag in ("v1", "v2"):
        (own / CARD).write_text(f"---\nlibrary_name: pinnzoo\n---\n{tag}\n")
        publish(own, tag=tag)
        there = server.state.repositories[REPOSITORY]
        tree = there.commits[there.head]
        assert all(tree[name].content == b"mine" for name in ("train.py", "LICENSE", "data/a.csv"))
    (own / "plots" / "solution.png").unlink()
    publish(own, tag="v3")
    there = server.state.repositories[REPOSITORY]
    assert "plots/solution.png" not in there.commits[there.head]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "config.json"])
def test_the_repository_of_another_model_is_left_alone(server, own, name):
    api = hub.client()
    api.create_repo(REPOSITORY)
    for file in ("README.md", name):
        api.upload_file(path_or_fileobj=b"mine", path_in_repo=file, repo_id=REPOSITORY)
    sent = len(server.state.repositories[REPOSITORY].commits)
    with pytest.raises(EntryError, match=f"holds '{name}', which is no part of a pinnzoo entry"):
        publishing.push(EntryFolder.open(own), REPOSITORY, api=api)
    assert len(server.state.repositories[REPOSITORY].commits) == sent


def test_a_public_repository_is_not_taken_for_a_private_one(server, own):
    hub.client().create_repo(REPOSITORY, private=False)
    sent = len(server.state.repositories[REPOSITORY].commits)
    with pytest.raises(EntryError, match="exists and is public"):
        publishing.push(EntryFolder.open(own), REPOSITORY, api=hub.client(), private=True)
    assert len(server.state.repositories[REPOSITORY].commits) == sent


@pytest.mark.parametrize("tag", ["release/", "release 1", ""])
def test_tags_that_no_address_can_name_are_refused_before_anything_is_sent(server, own, tag):
    with pytest.raises(EntryError, match=r"the tag .* was given"):
        publishing.push(EntryFolder.open(own), REPOSITORY, api=hub.client(), tag=tag)
    assert REPOSITORY not in server.state.repositories


def test_tag_that_is_elsewhere_is_not_moved(server, own):
    publish(own)
    (own / CARD).write_text("---\nlibrary_name: pinnzoo\n---\nnew\n")
    with pytest.raises(DownloadError, match="another tag"):
        publish(own)


def test_token_that_may_not_write_is_refused_in_a_sentence(server, made, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(DownloadError, match="cannot be written"):
        publish(made)


TELLING = [
    ("a-very-own-machine", "trained on a-very-own-machine"),
    ("lab3.example.org", "on lab3.example.org"),
    ("workstation7", "on workstation7 with"),
    ("heat", "copied from ann@heat"),
    ("heat", "scp heat:/data/x ."),
    ("heat", "scp heat:~/x ."),
    ("heat", "http://heat:8888/lab"),
    ("heat", f"trained in {Path.home()}/runs"),
    ("heat", f"trained in {Path.home()}"),
    ("heat", f"trained in {Path.cwd()}/x"),
]


@pytest.mark.parametrize(("host", "text"), TELLING)
def test_entry_that_names_this_machine_is_not_sent(server, own, monkeypatch, host, text):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    (own / CARD).write_text(text)
    with pytest.raises(EntryError, match="names this machine"):
        publish(own)
    assert not server.state.repositories


@pytest.mark.parametrize(
    "host",
    ["adam", "heat", "node", "json", "burgers", "float64", "sha256", "params", "mlp", "a", "",
     "physics-informed", "burgers-mlp", "burgers-mlp-levenberg_marquardt", "levenberg-marquardt"],
)  # fmt: skip
def test_machine_that_is_called_like_an_ordinary_word_may_publish(server, own, monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    (own / CARD).write_text(
        "---\nlicense: apache-2.0\n---\nA physics-informed network of burgers-mlp, adam and heat, "
        "by node and json; adam: 3, heat / node, json:5, levenberg-marquardt."
    )
    publish(own)
    assert REPOSITORY in server.state.repositories


def test_short_names_of_machines_occur_in_compressed_bytes_by_chance(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    assert publishing._trace(b"\0\x93 8@vm \x01", b"") is None
    assert publishing._trace(b"made by 8@vm", b"") == "8@vm"
    assert publishing._trace(b"\0\x93 somebody@vm \x01", b"") == "somebody@vm"


def test_short_places_are_no_traces_in_bytes_or_in_other_words(server, own, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/x"))
    monkeypatch.setattr(Path, "cwd", lambda: Path("/"))
    (own / CARD).write_text("see https://a.org/x and 3/x and /xy")
    (own / "plots" / "solution.png").write_bytes(b"\0\1/x/\0")
    publish(own)


def test_entry_that_was_saved_anew_is_not_sent_again(server, tmp_path):
    entry = made_entry()
    first = entry.push_to_hub("me/mine", tag="v1")
    assert entry.push_to_hub("me/mine") == first
    assert entry.push_to_hub("me/mine", tag="v1") == first
    loaded = pinnzoo.load("hf-hub:me/mine")
    assert loaded.push_to_hub("me/mine", command="another command") == first
    there = server.state.repositories["me/mine"]
    assert len(there.commits) == 2
    assert pinnzoo.load(f"hf-hub:me/mine@{first}", verify="all").recipe == entry.recipe


def test_other_card_leaves_the_entry_as_it_is(server, own):
    publishing.push(EntryFolder.open(own), "me/mine", api=hub.client())
    again = made_entry().save(own.parent / "again")
    (again / CARD).write_text("new")
    publishing.push(EntryFolder.open(again), "me/mine", api=hub.client())
    before, now = list(server.state.repositories["me/mine"].commits.values())[-2:]
    assert now[CARD].content == b"new"
    assert {n for n in before if n.startswith(("params", "manifest"))} == {
        n for n in now if n.startswith(("params", "manifest"))
    }
    assert pinnzoo.load("hf-hub:me/mine", verify="all").name == NAME


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("change", [{"seed": 5}, {"tag": "x"}])
def test_other_entry_is_sent(server, change):
    first = made_entry().push_to_hub("me/mine")
    second = made_entry(**change)
    assert second.push_to_hub("me/mine") != first
    np.testing.assert_array_equal(pinnzoo.load("hf-hub:me/mine").theta, second.theta)


@pytest.mark.usefixtures("no_pictures")
def test_repository_that_lost_a_file_is_mended(server):
    entry = made_entry()
    first = entry.push_to_hub("me/mine")
    there = server.state.repositories["me/mine"]
    tree = dict(there.commits[there.head])
    del tree["ntk.npz"]
    there.commit(tree)
    assert entry.push_to_hub("me/mine") != first
    assert pinnzoo.load("hf-hub:me/mine", verify="all").name == NAME


def test_tag_that_is_elsewhere_is_noticed_before_anything_is_sent(server, own):
    publish(own)
    (own / CARD).write_text("---\nlibrary_name: pinnzoo\n---\nnew\n")
    server.state.log.clear()
    for attempt in (
        lambda: publish(own),
        lambda: publishing.push(EntryFolder.open(own), REPOSITORY, api=hub.client(), tag="v1"),
    ):
        with pytest.raises(DownloadError, match="another tag"):
            attempt()
    assert len(server.state.repositories[REPOSITORY].commits) == 2
    assert not [line for line in server.state.log if not line.startswith(("GET", "HEAD"))]


def test_entry_that_is_damaged_large_or_without_card_is_not_sent(server, own, monkeypatch):
    (own / CARD).rename(own.parent / CARD)
    with pytest.raises(EntryError, match="pinnzoo cards"):
        publish(own)
    (own.parent / CARD).rename(own / CARD)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "MAX_ENTRY", 1000)
        with pytest.raises(EntryError, match="at most 1000"):
            publish(own)
    content = bytearray((own / "golden.npz").read_bytes())
    content[50] ^= 1
    (own / "golden.npz").write_bytes(content)
    with pytest.raises(IntegrityError):
        publish(own)
    assert not server.state.repositories


def test_own_entry_may_be_larger_than_those_of_the_collection(server, monkeypatch):
    """A network of 4 x 100 with a dozen snapshots has more than they may have."""
    monkeypatch.setattr(publishing, "MAX_ENTRY", 1000)
    made_entry().push_to_hub("me/large")
    monkeypatch.setattr(publishing, "MAX_OWN", 1000)
    with pytest.raises(EntryError, match=rf"the entry '{made_entry().name}' .* snapshots=2"):
        made_entry().push_to_hub("me/larger")
    assert [*server.state.repositories] == ["me/large"]


def test_own_entry_is_pushed_with_card_and_plots_and_loads_by_its_address(server):
    entry = made_entry()
    commit = entry.push_to_hub("me/my-pinn", tag="first", private=True)
    there = server.state.repositories["me/my-pinn"]
    assert there.private
    assert there.tags == {"first": commit}
    tree = there.commits[commit]
    assert b'pinnzoo.load("hf-hub:me/my-pinn")' in tree[CARD].content
    assert {name for name in tree if name.startswith("plots/")} >= {"plots/solution.png"}
    again = pinnzoo.load(f"hf-hub:me/my-pinn@{commit}", verify="all")
    assert again.recipe == entry.recipe
    with pytest.raises(DownloadError, match="organization/name"):
        entry.push_to_hub("my-pinn")


@pytest.mark.parametrize(
    ("key", "name"), [("problem", "maxwell_3d"), ("architecture", "transformer")]
)
def test_entry_of_a_newer_version_is_refused_by_name(server, own, key, name):
    edit_json(own / "config.json", lambda data: data.update({key: name}))
    renamed = NAME.replace("burgers" if key == "problem" else "mlp", name)
    edit_json(own / "manifest.json", lambda data: data.update(entry=renamed))
    rewrite_manifest(own)
    publishing.push(EntryFolder.open(own), "them/theirs", api=hub.client())
    with pytest.raises(pinnzoo.PinnzooError, match=name):
        pinnzoo.load("hf-hub:them/theirs")


def rewrite_manifest(path):
    from pinnzoo.storage.folder import record

    content = (path / "config.json").read_bytes()
    edit_json(path / "manifest.json", lambda d: d["files"].update({"config.json": record(content)}))
