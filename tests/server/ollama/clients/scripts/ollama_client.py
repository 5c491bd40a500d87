# Everything that ollama-python does to the models of one box, as one JSON object: what each call returned or raised.
# argv: the base URL, the value of Authorization (may be empty), then the calls to make; all of them when none is named.
import json
import sys

from ollama import Client, ResponseError

url, authorization, *wanted = sys.argv[1:]
client = Client(host=url, headers={"Authorization": authorization} if authorization else {})


def statuses(lines):
    """The status words of a stream, each kind once."""
    words = []
    for line in lines:
        word = "pulling DIGEST" if line.digest else line.status
        if words[-1:] != [word]:
            words.append(word)
    return words


def shown(name):
    shown = client.show(name)
    return [shown.details.family, shown.details.quantization_level, shown.capabilities, shown.modelinfo]


def loaded(**options):
    answer = client.generate(model="sample", **options)
    return [answer.model, answer.response, answer.done, answer.done_reason]


def running():
    models = client.ps().models
    return [[m.name, m.digest, m.size, m.size_vram, m.context_length, m.expires_at is not None] for m in models]


CALLS = {
    "list": lambda: sorted([m.model, m.size, m.digest, m.details.family, m.modified_at is not None] for m in client.list().models),
    "show": lambda: shown("sample"),
    "show unknown": lambda: shown("none"),
    "show bad name": lambda: shown("a b"),
    "ps": running,
    "load": loaded,
    "ps loaded": running,
    "unload": lambda: loaded(keep_alive=0),
    "ps unloaded": running,
    "load unknown": lambda: client.generate(model="none"),
    "pull streamed": lambda: statuses(client.pull("small", stream=True)),
    "pull": lambda: client.pull("small").status,
    "pull unknown": lambda: client.pull("nonesuch").status,
    "pull unknown streamed": lambda: statuses(client.pull("nonesuch", stream=True)),
    "pull bad name": lambda: client.pull("a b").status,
    "copy": lambda: client.copy("small", "copied").status,
    "copy unknown": lambda: client.copy("none", "copied").status,
    "delete": lambda: client.delete("copied").status,
    "delete again": lambda: client.delete("copied").status,
    "delete pulled": lambda: client.delete("small").status,
    "list at last": lambda: [m.model for m in client.list().models],
}


def outcome(call):
    try:
        return call()
    except ResponseError as error:
        return {"error": error.error, "status": error.status_code}


print(json.dumps({name: outcome(CALLS[name]) for name in wanted or CALLS}))
