"""The old GPU service, as it talks on the share and to Ollama. What it does is what docs/protocol.md says of version 1."""
import json
import os
import time
import urllib.request
from datetime import datetime
from pathlib import Path

SHARED = Path("/mnt/shared")
COMMANDS = SHARED / "gpu_commands"
STATUS = SHARED / "gpu_status"
OLLAMA = "http://127.0.0.1:11434"
handled = []


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(OLLAMA + path, data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def models():
    listed = json.loads(ask("GET", "/api/tags"))["models"]
    return [{key: model[key] for key in ("name", "size", "modified_at", "digest")} for model in listed]


def run(command):
    verb, model = command.get("command"), command.get("model_name")
    try:
        if verb == "list_models":
            return {"success": True, "models": models()}
        if verb == "delete_model":
            ask("DELETE", "/api/delete", {"model": model})
            return {"success": True, "message": f"Successfully deleted model {model}"}
        return {"success": False, "error": f"Unknown command: {verb}"}
    except Exception as error:
        return {"success": False, "error": str(error)}


def write(path, document):
    with open(path, "w") as file:
        json.dump({**document, "timestamp": datetime.now().isoformat()}, file, indent=2)


def main():
    for folder in (COMMANDS, STATUS):
        folder.mkdir(parents=True, exist_ok=True)
    while True:
        for path in COMMANDS.glob("*.json"):
            if path.name not in handled:
                command = json.loads(path.read_text())
                write(STATUS / f"{command['command_id']}_response.json", run(command))
                handled.append(path.name)
            os.remove(path)
        write(STATUS / "gpu_status.json", {"status": "running", "processed_commands": len(handled), "ollama_available": True})
        time.sleep(5)


main()
