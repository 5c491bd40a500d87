"""Presses Ctrl-C when a command has printed a text: interrupt.py TEXT COMMAND... Ends with the command's status."""
import os
import signal
import subprocess
import sys

text, *command = sys.argv[1:]
child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
pressed = False
for line in child.stdout:
    print(line, end="")
    if text in line and not pressed:
        os.killpg(child.pid, signal.SIGINT)
        pressed = True
status = child.wait()
sys.exit(status if pressed else f"It never printed {text}")
