#!/bin/sh
# Installs gpu-courier as a systemd service, upgrades it and removes it. See `install.sh --help`, and docs/operations.md
# for its effects and all file locations. It belongs to a release folder or a checkout, and needs no network.
#
# Before you run it with sudo: every change of the machine is made by change(), which prints it, records how to undo it, and
# makes it; with --dry-run it only prints it. Nothing changes before the checksums are verified. A run that fails undoes its
# changes; the next run undoes those of a run that was killed.
# read_options() sets opt_share and its like:
# shellcheck disable=SC2154
set -eu
LC_ALL=C
export LC_ALL
umask 022

UNITS=/etc/systemd/system
CONFIG=/etc/gpu-courier
KEEP=/var/lib/gpu-courier
# Of what the programs hold.
LICENSES=THIRD_PARTY_LICENSES
OUR_USER=gpu-courier
OUR_FIRST_WORDS='# gpu-courier:'
# Groups that stand for root, or for its disks, secrets and logs: the service joins none of them.
NEVER_JOINED='root wheel sudo adm disk shadow docker lxd kvm systemd-journal'
# Of the files that are copied: the setting, whose option has the same name, and the end of the copy's name.
COPIED_FILES='NATS_CREDS:nats.creds NATS_CA:nats-ca.pem NATS_CERT:nats.pem NATS_KEY:nats.key
MIRROR_TOKEN_FILE:mirror.token MIRROR_CA:mirror-ca.pem'
# Whom the lines of release_keys name, and what their signatures are for.
SIGNER=gpu-courier-release
# For each access to the share.
SHARE_LIMIT_S=5
# For a restart: 15 s to stop, 10 s to become ready.
START_LIMIT_S=30
# From ready until a ping is answered.
READY_LIMIT_S=30
TAB=$(printf '\t')

# ---- options -----------------------------------------------------------------------------------------------------------

# For each: flag, value, meaning. Each has a variable in the environment: --dry-run is GPU_COURIER_DRY_RUN.
options() {
  cat <<'END'
--role ROLE       agent (default) serves this machine, server offers HTTP
--share DIR       the shared folder (default: as installed, or /mnt/shared)
--transport ADDR  instead: nats://host:4222,host2, tls://host or share:DIR
--nats-creds FILE credentials for NATS, copied for the service's user alone
--nats-ca FILE    certificates (PEM) to check those of NATS with, copied too
--nats-cert FILE  this machine's certificate for NATS, copied too
--nats-key FILE   the key of that certificate, copied too
--nats-prefix P   the beginning of all names on NATS (default: gpu_courier)
--name NAME       the agent's name (default: the short host name)
--ollama URL      address of Ollama (default: http://127.0.0.1:11434)
--mirror-url URL  pull from the mirror that this gpu-server serves
--mirror-token-file FILE  the token for it, copied for the service's user
--mirror-ca FILE  certificates (PEM) to check its server with, copied too
--user USER       user of the service (default: gpu-courier, made if missing)
--group NAME      a system group that the service may join for the share
--prefix DIR      programs go to DIR/bin (default: /usr/local)
--manage-blobs    let the agent remove leftovers of Ollama: gpuctl prune
--init            the share is on a local disk: create its folders there
--allow-unsigned  install a release without a valid signature
--no-start        change files, but neither start nor restart the service
--dry-run         print the changes without making them
--yes             don't ask: take over a legacy service, purge
--uninstall       remove the service; settings and state stay
--purge           with --uninstall: also remove settings and state
--restore         with --uninstall: restore the legacy service it replaced
--version         print the version that would be installed
--help            print this help
END
}

help() {
  cat <<'END'
Usage: sudo ./install.sh [options]

Installs gpu-courier on this machine as a systemd service, or upgrades it.
Run it again at any time: it changes only what differs.

Options, also in the environment (--no-start is GPU_COURIER_NO_START=1):
END
  options | sed 's/^/  /'
  cat <<'END'

Examples:
  sudo ./install.sh --share /mnt/shared --dry-run
  sudo ./install.sh --share /mnt/shared --name gpu-1
  sudo ./install.sh --role server --share /mnt/shared
  sudo ./install.sh --transport tls://nats.example --nats-creds gpu-1.nk
  sudo ./install.sh --uninstall --restore
END
}

# Sets opt_share and its like. A flag wins over the environment; a switch is 1 or empty.
read_options() {
  for flag in $(options | cut -d' ' -f1); do
    key=$(option_key "$flag")
    eval "value=\${GPU_COURIER_$(echo "$key" | tr '[:lower:]' '[:upper:]')-}"
    if ! takes_value "$flag"; then
      case $value in '' | 0 | false | no | off) value= ;; *) value=1 ;; esac
    fi
    eval "opt_$key=\$value"
  done
  while [ $# -gt 0 ]; do
    flag=${1%%=*}
    options | cut -d' ' -f1 | grep -qxF -e "$flag" || die 64 "Unknown option: $1" "See ./install.sh --help"
    key=$(option_key "$flag")
    value=1
    if takes_value "$flag"; then
      case $1 in
        *=*) value=${1#*=} ;;
        *) [ $# -gt 1 ] || die 64 "$flag needs a value" "See ./install.sh --help"; shift; value=$1 ;;
      esac
      [ -n "$value" ] || die 64 "$flag needs a value" "See ./install.sh --help"
    elif [ "$flag" != "$1" ]; then
      die 64 "$flag takes no value" "See ./install.sh --help"
    fi
    eval "opt_$key=\$value"
    shift
  done
}

option_key() { echo "${1#--}" | tr - _; }

takes_value() { options | grep -q -e "^$1 [A-Z]"; }

check_options() {
  case ${opt_role:=agent} in agent | server) ;; *) die 64 "Unknown role: $opt_role" "Give --role agent or --role server" ;; esac
  if [ -z "$opt_uninstall" ] && [ -n "$opt_purge$opt_restore" ]; then
    die 64 "--purge and --restore go with --uninstall" "Nothing was done"
  fi
  if [ "$opt_role" = server ] && [ -n "$opt_name$opt_ollama$opt_restore$opt_manage_blobs" ]; then
    die 64 "--name, --ollama, --manage-blobs and --restore are for --role agent" "Omit them"
  fi
  check_transport
  check_mirror
  for value in "$opt_share" "$opt_prefix"; do
    case $value in '' | /*) ;; *) die 64 "Not an absolute path: $value" "Begin it with a slash" ;; esac
  done
  for value in "$opt_share" "$opt_prefix" "$opt_name" "$opt_ollama" "$opt_user" "$opt_transport"; do
    case $value in *[\"\'\\]* | *[[:cntrl:]]*) die 64 "Quotes, backslashes and control characters cannot be kept: $value" \
      "Use another name" ;; esac
  done
  for value in "$opt_user" "$opt_group"; do
    case $value in *[!A-Za-z0-9_.-]*) die 64 "Invalid name of a user or group: $value" "Use a-z, 0-9 and dashes" ;; esac
  done
  case " $NEVER_JOINED " in *" ${opt_group:-/} "*) die 64 "The service never joins the group $opt_group" \
    "Members of it may do far more than use the share: give the share another group" ;; esac
}

# The agent itself checks the address further. What it may not have, a password, is no part of this one either.
check_mirror() {
  if [ "$opt_role" = server ] && [ -n "$opt_mirror_url$opt_mirror_token_file$opt_mirror_ca" ]; then
    die 64 "--mirror-url, --mirror-token-file and --mirror-ca are for --role agent" "Omit them"
  fi
  case $opt_mirror_url in
    '') return ;;
    *[!]A-Za-z0-9:/._~%[-]*) ;;
    https://?* | http://?*) return ;;
  esac
  die 64 "Invalid address of the mirror: $opt_mirror_url" "Write it as https://gpu.example.org/mirror"
}

# A share by another name is one; else opt_transport is an address of NATS, or empty.
check_transport() {
  case $opt_nats_prefix in [!a-z]* | *[!a-z0-9_]*) die 64 "Invalid prefix: $opt_nats_prefix" "Use a-z, 0-9 and _" ;; esac
  case $opt_transport in
    '') return ;;
    share:/* | nats://?* | tls://?*) ;;
    *) die 64 "Unknown transport: $opt_transport" "Give nats://host:4222, tls://host or share:/mnt/shared" ;;
  esac
  case $opt_transport in
    share:*)
      [ -z "$opt_share" ] || die 64 "--transport and --share exclude each other" "Omit one of them"
      opt_share=${opt_transport#share:} opt_transport=''
      ;;
    *[!]A-Za-z0-9:/.,_[-]*) die 64 "Invalid address of NATS: $opt_transport" "Write it as nats://host:4222,host2" ;;
    *)
      # A server may have both, while boxes move.
      if [ "$opt_role" = agent ] && [ -n "$opt_share$opt_group$opt_init" ]; then
        die 64 "--share, --group and --init are for a share" "Omit them"
      fi
      ;;
  esac
}

# ---- talking -----------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

warn() { printf 'Warning: %s\n' "$*" >&2; }

die() { # STATUS WHAT TODO: what was changed is undone on the way out
  printf 'install.sh: %s\n  %s\n' "$2" "$3" >&2
  exit "$1"
}

confirm() { # QUESTION
  [ -z "$opt_yes$opt_dry_run" ] || return 0
  [ -t 0 ] || die 64 "$1" "There is no terminal to ask: use --yes"
  printf '%s [y/N] ' "$1"
  read -r answer || answer=
  case $answer in [yY]*) ;; *) die 1 "Not confirmed" "Nothing was changed" ;; esac
}

# Runs what may hang on a share: its output, then its status. 124 when it does not end in time; it is then left behind, as
# what waits for a share cannot always be killed.
bounded() { # SECONDS COMMAND...
  within=$(($1 * 20))
  box=$(mktemp -d "$temp/XXXXXX") || return 1
  shift
  (
    status=0
    "$@" || status=$?
    echo "$status" >"$box/part" && mv "$box/part" "$box/status"
  ) >"$box/out" 2>&1 9<&- &
  while [ ! -e "$box/status" ]; do
    if [ "$within" -le 0 ]; then return 124; fi
    within=$((within - 1))
    sleep 0.05
  done
  cat "$box/out"
  return "$(cat "$box/status")"
}

# ---- changing ----------------------------------------------------------------------------------------------------------

# Runs what leaves its locks and half its work behind when Ctrl-C ends it: the tools that keep the accounts.
whole() { (trap '' INT TERM HUP && "$@"); } # COMMAND...

# The journal: how to undo each change, written before the change is made. The last change is undone first.
begin() {
  [ -z "$opt_dry_run" ] || return 0
  rm -rf "$undo"
  (umask 077 && mkdir -p "$undo")
  if [ -e "$keep/made" ]; then cp -p "$keep/made" "$undo/made"; fi
  note "made"
}

change() { # UNDO TEXT COMMAND...
  undoing=$1 text=$2
  shift 2
  changes=$((changes + 1))
  say "  $text"
  [ -z "$opt_dry_run" ] || return 0
  note "$undoing"
  "$@" >"$temp/why" 2>&1 || die 1 "Cannot $text: $(cat "$temp/why")" "Fix that and run it again"
}

note() { # UNDO: a verb of undo_one() and what it needs, separated by tabs
  printf '%s\n' "$1" >>"$undo/journal"
  sync "$undo/journal" 2>/dev/null || sync
}

commit() {
  [ -z "$opt_dry_run" ] || return 0
  # First: without its copies it must not be played.
  rm -f "$undo/journal"
  rm -rf "$undo"
  rmdir "$keep" "$KEEP" 2>/dev/null || true
}

# Each undone change leaves the journal, which holds the changes that remain to be undone.
undo_all() {
  while [ -s "$undo/journal" ]; do
    line=$(tail -n 1 "$undo/journal")
    IFS=$TAB read -r verb one two three <<END
$line
END
    undo_one "$verb" "$one" "$two" "$three" || {
      warn "Cannot undo: $verb $one $two"
      return 1
    }
    # Shortened in place, which takes no room: the disk may be full.
    truncate -s "$(($(wc -c <"$undo/journal") - $(tail -n 1 "$undo/journal" | wc -c)))" "$undo/journal" || return 1
  done
  commit
}

undo_one() { # VERB ARGUMENT...: works even if the change was noted but never made
  case $1 in
    remove) rm -f "$2"; unstage "$2" ;;
    restore) put_back "$2" "$3" ;;
    rmdir) rmdir "$2" 2>/dev/null || true ;;
    tree) rm -rf "$2" ;;
    move) unstage "$2"; if [ -e "$2" ]; then rm -rf "$3" && carry "$2" "$3"; fi ;;
    user) if id "$2" >/dev/null 2>&1; then userdel "$2"; fi ;;
    group) if getent group "$2" >/dev/null; then groupdel "$2"; fi ;;
    leave) gpasswd -d "$2" "$3" >/dev/null 2>&1 || true ;;
    folder) runs_as=$3; bounded "$SHARE_LIMIT_S" drop_empty "$2" || warn "$2 stays" ;;
    share) runs_as=$4; bounded "$SHARE_LIMIT_S" leave_share "$2" "$3" || warn "what was made on $2 stays" ;;
    enable) systemctl --quiet --no-reload enable "$2" ;;
    disable) systemctl --quiet --no-reload disable "$2" 2>/dev/null || true ;;
    forbid) bounded "$SHARE_LIMIT_S" forbid_writing "$2" "$3" "$4" || warn "the right to write in $4 stays" ;;
    permit) runs_as=$3; bounded "$SHARE_LIMIT_S" permit_writing "$2" "$3" "$4" || warn "the right to write in $4 is gone" ;;
    stop) bounded "$START_LIMIT_S" systemctl stop "$2" || true ;;
    service) service_back "$2" "$3" ;;
    made) if [ -e "$undo/made" ]; then put_back made "$keep/made"; else rm -f "$keep/made"; fi ;;
    none) ;;
    *) return 1 ;;
  esac
}

put_back() { # BACKUP PATH: what is there still is not copied, as there may be no room for it
  unstage "$2"
  if ! { [ -e "$undo/$1" ] || [ -L "$undo/$1" ]; } || is_same "$undo/$1" "$2"; then return 0; fi
  stage "$2" && cp -a "$undo/$1" "$new/it" || return 1
  if [ -d "$2" ] && [ ! -L "$2" ]; then rm -rf "$2"; fi
  unwrap "$2"
}

is_same() { # FILE FILE: by content, kind, mode, owner and time
  [ -f "$1" ] && [ "$(stat -c '%F %a %u %g %Y' "$1")" = "$(stat -c '%F %a %u %g %Y' "$2" 2>/dev/null)" ] && cmp -s "$1" "$2"
}

service_back() { # UNIT STATE
  is_booted || return 0
  systemctl daemon-reload
  systemctl reset-failed "$1" 2>/dev/null || true
  [ "$2" = active ] || return 0
  bounded "$START_LIMIT_S" systemctl start "$1" >/dev/null && return
  is_down=1
  warn "$1 does not start: journalctl -u $1"
}

# ---- the changes there are ---------------------------------------------------------------------------------------------

# Replaced by a rename, and only when something differs.
put_file() { # FILE TARGET MODE [SHA256] [OWNER]
  owner=$(id -u "${5:-root}" 2>/dev/null) || owner=
  if [ -f "$2" ] && [ ! -L "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a:%u "$2")" = "$3:$owner" ]; then return 0; fi
  if [ "$2" != "$old_unit" ] && { [ -e "$2" ] || [ -L "$2" ]; }; then
    back_up "$2"
    change "restore$TAB$backup$TAB$2" "replace $2" swap_in "$@"
  else
    change "remove$TAB$2" "write $2" swap_in "$@"
  fi
  replaced=1
}

swap_in() { # FILE TARGET MODE [SHA256] [OWNER]
  stage "$2" && cp "$1" "$new/it" && chmod "$3" "$new/it" && chown "${5:-0}:0" "$new/it" && sync "$new/it" || return 1
  if [ -n "${4-}" ] && [ "$(sum_of "$new/it")" != "$4" ]; then
    echo "the copy is not what SHA256SUMS says" >&2
    return 1
  fi
  unwrap "$2"
}

# Makes a folder beside the target that only root may enter, and sets new: nobody else can put a link there for the copy to
# follow.
stage() { # TARGET
  unstage "$1"
  new=$(mktemp -d "$1.new.XXXXXX")
}

unwrap() { mv -fT "$new/it" "$1" && rmdir "$new"; } # TARGET

# Also after a run that was killed. Version 0.1.0 had one name for its copies.
unstage() { rm -rf "$1.new" "$1".new.??????; } # TARGET

drop_file() { # PATH: a folder too
  [ -e "$1" ] || [ -L "$1" ] || return 0
  back_up "$1"
  change "restore$TAB$backup$TAB$1" "remove $1" rm -rf "$1"
}

back_up() { # PATH: sets backup
  backups=$((backups + 1)) backup=$backups
  if [ -n "$opt_dry_run" ] || cp -a "$1" "$undo/$backup" 2>"$temp/why"; then return; fi
  rm -rf "${undo:?}/$backup"
  die 1 "Cannot keep a copy of $1: $(cat "$temp/why")" "Free space in $KEEP and run it again"
}

make_folder() { # PATH MODE OWNER
  [ ! -d "$1" ] || return 0
  undoing='rmdir'
  if [ "$1" = "$state" ]; then undoing=tree; fi
  change "$undoing$TAB$1" "make the folder $1, of $3, mode $2" install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$1"
}

move() { # FROM TO
  change "move$TAB$2$TAB$1" "move $1 to $2" carry "$1" "$2"
}

# Perhaps to another disk: what bears the name of the target is whole, and until then the source is.
carry() { # FROM TO
  stage "$2" && cp -a "$1" "$new/it" && unwrap "$2" && rm -rf "$1"
}

remember() { # LINE: what was made on this machine, for --purge
  [ -z "$opt_dry_run" ] || return 0
  grep -qxF -e "$1" "$keep/made" 2>/dev/null || printf '%s\n' "$1" >>"$keep/made"
}

remembered() { # WORD: the rest of its lines
  sed -n "s/^$1 //p" "$keep/made" 2>/dev/null || true
}

# ---- what is there -----------------------------------------------------------------------------------------------------

set_role() {
  case $opt_role in
    agent) unit=gpu-command-service.service program=gpu-agent settings=agent.env ;;
    server) unit=gpu-courier-server.service program=gpu-server settings=server.env ;;
  esac
  keep=$KEEP/$opt_role undo=$KEEP/$opt_role/undo state=/var/lib/$program
}

find_release() {
  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
  for release in "$here" "$here/dist"; do
    if [ -f "$release/SHA256SUMS" ]; then return; fi
  done
  die 66 "Nothing to install in $here: no SHA256SUMS" "In a checkout, run npm run build; otherwise unpack the whole release"
}

# The first signed release brings the keys, and sets brings_keys. From then on one that none of them signed is refused, unless
# it was installed before.
check_signature() {
  # So that what is read later is what was verified.
  cp "$release/SHA256SUMS" "$temp/SHA256SUMS"
  keys=$CONFIG/release_keys signed='' brings_keys=''
  if [ ! -e "$keys" ]; then
    if [ ! -e "$release/SHA256SUMS.sig" ]; then return; fi
    verify systemd/release_keys "$temp/release_keys"
    keys=$temp/release_keys brings_keys=1
  fi
  status=0
  why=$(verify_signature) || status=$?
  if [ "$status" = 0 ]; then
    signed=1
    return
  fi
  brings_keys=''
  if grep -qxsF -e "$(release_record)" "$KEEP/agent/made" "$KEEP/server/made"; then
    warn "$release: $why. It is installed because it was installed here before"
  elif [ -n "$opt_allow_unsigned" ]; then
    warn "$release: $why. NOBODY VOUCHES FOR IT: it is installed because of --allow-unsigned"
  else
    die "$status" "Cannot trust $release: $why" \
      "Fetch the release again from where it is published, or take the risk with --allow-unsigned. Nothing was changed"
  fi
}

verify_signature() { # prints why not
  if ! command -v ssh-keygen >/dev/null; then
    echo "ssh-keygen is missing to verify it: install openssh-client (Debian, Ubuntu) or openssh-clients (Fedora, RHEL)"
    return 69
  fi
  if [ ! -f "$release/SHA256SUMS.sig" ]; then
    echo "it is not signed: there is no SHA256SUMS.sig"
    return 65
  fi
  said=$(ssh-keygen -Y verify -f "$keys" -I "$SIGNER" -n "$SIGNER" -s "$release/SHA256SUMS.sig" \
    <"$temp/SHA256SUMS" 2>&1) && return
  case $said in *'option -- Y'*) echo "ssh-keygen is too old to verify it: it needs OpenSSH 8.1 or later"; return 69 ;; esac
  echo "its SHA256SUMS.sig is not by a key in $keys"
  return 65
}

release_record() { echo "release $(sum_of "$temp/SHA256SUMS")"; }

verify() { # FILE [COPY]: in the release folder; what is read later is its copy
  [ -f "$release/$1" ] || die 66 "There is no $release/$1" "Copy the whole release again; nothing was changed"
  if [ -n "${2-}" ]; then cp "$release/$1" "$2"; fi
  want=$(listed_sum "$1")
  [ -n "$want" ] || die 65 "SHA256SUMS does not list $1" "Copy the whole release again; nothing was changed"
  have=$(sum_of "${2:-$release/$1}")
  [ "$want" = "$have" ] || die 65 "Wrong checksum: $release/$1 is $have, SHA256SUMS says $want" \
    "Fetch the release again; nothing was changed"
}

listed_sum() { awk -v file="$1" '{ sub(/^\*/, "", $2) } $2 == file && NF == 2 { print $1; exit }' "$temp/SHA256SUMS"; }

sum_of() { sha256sum <"$1" | cut -d' ' -f1; }

# Sets variant to the first one that runs here: what is tried is verified first.
choose_variant() {
  tried=
  for variant in $(variants) ''; do
    if ! [ -f "$release/$program$variant" ] || ! [ -f "$release/gpuctl$variant" ]; then continue; fi
    verify "$program$variant"
    verify "gpuctl$variant"
    if version=$(bounded 20 "$release/$program$variant" --version); then return; fi
    tried="$tried $program$variant"
  done
  [ -n "$tried" ] || die 66 "There is no $program for $(uname -m) in $release" "Get the release for this machine, or build it"
  die 1 "Cannot run$tried on this machine ($(uname -m)): $version" \
    "Get the release for this machine. A folder that is mounted noexec does not work either"
}

variants() {
  case $(uname -m) in
    x86_64) kinds='x64-baseline'; if grep -qw avx2 /proc/cpuinfo; then kinds='x64 x64-baseline'; fi ;;
    aarch64) kinds=arm64 ;;
    *) kinds= ;;
  esac
  libc=
  if (ldd --version 2>&1 || true) | grep -qi musl; then libc=-musl; fi
  for kind in $kinds; do echo "-linux-$kind$libc"; done
}

is_booted() { [ -d /run/systemd/system ]; }

is_ours() { [ -f "$1" ] && head -n 1 "$1" | grep -q "^$OUR_FIRST_WORDS"; }

property() { systemctl show --property="$1" --value "$unit" 2>/dev/null || true; }

is_enabled() { [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ]; }

is_active() { [ "$(property ActiveState)" = active ]; }

# Also one that is about to be started again, as the next failure of many is.
is_wanted() { case $(property ActiveState) in '' | inactive | failed) return 1 ;; *) return 0 ;; esac; }

find_installed() {
  installed='' installed_prefix='' installed_user='' old_unit=''
  if [ "$(readlink "$UNITS/$unit" 2>/dev/null)" = /dev/null ]; then
    die 73 "$unit is masked" "sudo systemctl unmask $unit"
  fi
  if is_ours "$UNITS/$unit"; then
    installed=1
    installed_prefix=$(sed -n "s|^ExecStart=[-@:+!]*\(/[^ ]*\)/bin/$program\( .*\)\{0,1\}\$|\1|p" "$UNITS/$unit")
    installed_user=$(sed -n 's/^User=//p' "$UNITS/$unit")
    return
  fi
  for folder in "$UNITS" /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    if [ -f "$folder/$unit" ]; then old_unit=$folder/$unit; return; fi
  done
}

setting() { # KEY: its value in the settings, as systemd reads it
  sed -n "s/^[[:space:]]*GPU_COURIER_$1[[:space:]]*=[[:space:]]*//p" "$CONFIG/$settings" 2>/dev/null | tail -n 1 |
    sed "s/[[:space:]]*\$//; s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/"
}

# Sets runs_as, runs_in and runs_in_too: user, group and further groups of the service, as drop-ins may have it.
find_identity() {
  runs_as=$user runs_in='' runs_in_too=''
  if [ -z "$installed" ] || ! is_booted; then return; fi
  running_user=$(property User)
  if [ "$running_user" != "$installed_user" ]; then runs_as=${running_user:-root}; fi
  runs_in=$(property Group) runs_in_too=$(property SupplementaryGroups)
}

other_role_is_installed() {
  for other in gpu-command-service.service gpu-courier-server.service; do
    if [ "$other" != "$unit" ] && is_ours "$UNITS/$other"; then return 0; fi
  done
  return 1
}

# ---- what is wanted ----------------------------------------------------------------------------------------------------

decide() {
  prefix=${opt_prefix:-${installed_prefix:-/usr/local}}
  # Its links are followed once, here.
  prefix=$(readlink -m -- "$prefix")
  prefix=${prefix%/}
  if [ -n "$installed_prefix" ] && [ "$prefix" != "$(readlink -m -- "$installed_prefix")" ]; then
    die 73 "$program is installed in $installed_prefix/bin" "Omit --prefix, or run --uninstall first"
  fi
  check_prefix
  user=${opt_user:-${installed_user:-$OUR_USER}}
  find_identity
  for key in SHARE NAME OLLAMA TRANSPORT NATS_PREFIX MIRROR_URL; do
    eval "given=\$opt_$(echo "$key" | tr '[:upper:]' '[:lower:]')"
    found=$(setting "$key")
    if [ -n "$given" ] && [ -n "$found" ] && [ "$given" != "$found" ]; then
      die 73 "$CONFIG/$settings sets GPU_COURIER_$key=$found, and is left unchanged" \
        "Change it there and restart $unit, or omit --$(echo "$key" | tr '[:upper:]_' '[:lower:]-')"
    fi
  done
  decide_transport
  decide_mirror
  check_copied_files
  share=${opt_share:-$(setting SHARE)}
  if [ -z "$share$transport" ] && [ -n "$old_unit" ]; then
    share=$(share_of_old_service)
    [ -n "$share" ] || die 64 "Cannot find the share of the legacy $unit" "Name it with --share"
  fi
  share=${share:-/mnt/shared}
  name=$(agent_name)
  case $name in gpu | -* | *- | *[!a-z0-9-]*) die 64 "Invalid agent name: $name" \
    "Give one with --name: a-z, 0-9 and dashes inside, not gpu" ;; esac
}

# Sets transport, an address of NATS or empty; uses_share; and named_share, the path of a share in GPU_COURIER_TRANSPORT.
decide_transport() {
  found=$(setting TRANSPORT) transport='' named_share='' uses_share=1
  # A server may have several, with space between.
  for address in ${opt_transport:-$found}; do
    case $address in
      nats:* | tls:*) transport=${transport:-$address} ;;
      *) named_share=${named_share:-${address#share:}} ;;
    esac
  done
  if [ -n "$opt_share" ] && [ -n "$found" ] && [ "$opt_share" != "$named_share" ] && [ "$opt_role$named_share" != server ]; then
    die 73 "$CONFIG/$settings sets GPU_COURIER_TRANSPORT=$found, and is left unchanged" \
      "Change it there and restart $unit, or omit --share"
  fi
  opt_share=${named_share:-$opt_share}
  if [ -n "$transport" ]; then
    # Beside NATS only a server uses one.
    if [ "$opt_role" = agent ] || [ -z "$opt_share$(setting SHARE)" ]; then uses_share=''; fi
  fi
}

check_copied_files() {
  for pair in $COPIED_FILES; do
    flag=$(flag_of "$pair") found=$(setting "${pair%:*}") copy=$(copy_of "$pair")
    given=$(given_for "$pair")
    [ -n "$given" ] || continue
    case $flag:$transport in
      --nats-*:) die 64 "$flag is for NATS" "Give its address too: --transport nats://host:4222" ;;
    esac
    [ -f "$given" ] || die 66 "There is no file $given" "Correct $flag"
    if [ -n "$found" ] && [ "$found" != "$copy" ]; then
      die 73 "$CONFIG/$settings sets GPU_COURIER_${pair%:*}=$found, and is left unchanged" \
        "Replace that file and restart $unit, or omit $flag"
    fi
  done
  if [ -n "$opt_nats_creds" ] && ! grep -Eq '^SU[A-Z2-7]{56}$|BEGIN NATS USER JWT' "$opt_nats_creds"; then
    die 65 "These are no credentials for NATS: $opt_nats_creds" \
      "Give a file with the seed of a user, SU..., or one that nsc wrote. Nothing was changed"
  fi
  [ -z "$opt_mirror_token_file" ] || case $(head -c 16385 -- "$opt_mirror_token_file") in
    '' | *[!A-Za-z0-9._~+/=-]*) die 65 "This is no token: $opt_mirror_token_file" \
      "Give a file with what gpu-server token add NAME --role mirror prints. Nothing was changed" ;;
  esac
}

decide_mirror() {
  if [ -n "$opt_mirror_url" ] && [ -z "$opt_mirror_token_file$(setting MIRROR_TOKEN_FILE)" ]; then
    die 64 "--mirror-url needs --mirror-token-file" \
      "On the server: gpu-server token add NAME --role mirror. Save what it prints in a file, with mode 600"
  fi
  if [ -n "$opt_mirror_token_file$opt_mirror_ca" ] && [ -z "$opt_mirror_url$(setting MIRROR_URL)" ]; then
    die 64 "--mirror-token-file and --mirror-ca are for the mirror of a gpu-server" \
      "Give its address too: --mirror-url https://gpu.example.org/mirror"
  fi
}

flag_of() { echo "--${1%:*}" | tr '[:upper:]_' '[:lower:]-'; }

given_for() { eval "printf '%s\n' \"\$opt_$(option_key "$(flag_of "$1")")\""; }

# Of this role: the other one has its own.
copy_of() { echo "$CONFIG/$opt_role-${1#*:}"; }

# Root runs what is there, so that only root may change it. Where the sticky bit is set, nobody may replace what is root's.
check_prefix() {
  case $prefix in *[!A-Za-z0-9/._-]*) die 64 "A unit cannot contain this path: $prefix" \
    "Use a-z, A-Z, 0-9, slashes, dots and dashes" ;; esac
  [ ! -L "$prefix/bin" ] || die 73 "$prefix/bin is a link" "Choose another --prefix"
  folder=$prefix/bin loose=''
  while :; do
    case $(stat -c '%u %a' -- "$folder" 2>/dev/null) in
      '' | '0 '[1357]???) ;;
      '0 '*[2367]? | '0 '*[2367]) loose="$loose $folder" ;;
      '0 '*) ;;
      *) die 73 "$folder does not belong to root, whose programs would be there" \
        "sudo chown root $folder, or choose another --prefix" ;;
    esac
    [ "$folder" != / ] || break
    folder=$(dirname "$folder")
  done
  [ -z "$loose" ] || die 73 "Others than root may write to$loose, where root's programs would be" \
    "sudo chmod go-w$loose, or choose another --prefix"
}

agent_name() {
  found=${opt_name:-$(setting NAME)}
  echo "${found:-$(uname -n | cut -d. -f1 | tr '[:upper:]' '[:lower:]')}"
}

# What the unit of the legacy service names, and the script that it runs, and of it what holds a gpu_commands.
share_of_old_service() {
  folder=$(sed -n 's/^WorkingDirectory=-\{0,1\}//p' "$old_unit" | tail -n 1)
  {
    cat "$old_unit" "$UNITS/$unit.d"/*.conf 2>/dev/null || true
    for word in $(sed -n 's/^ExecStart=[-@:+!]*//p' "$old_unit" | tr -d "\"'"); do
      for file in "$word" "$folder/$word"; do
        case $file in *.py | *.sh) [ ! -f "$file" ] || cat "$file" ;; esac
      done
    done
    sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$old_unit" "$UNITS/$unit.d"/*.conf 2>/dev/null | while read -r file; do [ ! -f "$file" ] || cat "$file"; done
  } | grep -o '/[A-Za-z0-9._/-]*' | sed 's|/gpu_commands.*||; s|/gpu_status.*||; s|/*$||' | sort -u >"$temp/paths"
  found=
  while read -r path; do
    if [ -z "$path" ] || ! bounded "$SHARE_LIMIT_S" test -d "$path/gpu_commands" >/dev/null; then continue; fi
    [ -z "$found" ] || die 73 "The legacy service names two shares: $found and $path" "Choose one with --share"
    found=$path
  done <"$temp/paths"
  echo "$found"
}

# ---- the share ---------------------------------------------------------------------------------------------------------

# Sets kind, and root, commands and status: "mode uid gid group" of the three folders, empty when missing.
look_at_share() {
  status=0
  found=$(bounded "$SHARE_LIMIT_S" list_share) || status=$?
  if [ "$status" = 124 ]; then
    share_trouble "$share does not answer within $SHARE_LIMIT_S s" "Its file server is away, or the network"
    return
  fi
  kind=$(kind_of "$(echo "$found" | sed -n 's/^path //p')")
  root=$(echo "$found" | sed -n 's/^root //p')
  commands=$(echo "$found" | sed -n 's/^commands //p')
  status_folder=$(echo "$found" | sed -n 's/^status //p')
  is_known=$(echo "$found" | sed -n 's/^known//p')
  if [ -z "$root" ]; then
    share_trouble "$share is not a directory. Is the share mounted?" "Mount it, or correct --share"
  elif echo "$found" | grep -qx closed; then
    share_trouble "$(id -un) cannot list $share: its owner and group $(stat_words "$root")" \
      "As root: sudo $invoked; when root may not either, open it to its group, mode 2770"
  elif [ -z "$commands" ] && is_local && [ -z "$opt_init" ]; then
    share_trouble "$share has no gpu_commands folder and is on a local disk ($kind): not mounted?" \
      "Mount it; if it belongs on this disk, use --init"
  fi
}

stat_words() { echo "$1" | sed 's/^\([0-9]*\) \([0-9]*\) \([0-9]*\) .*/\2:\3, mode \1/'; }

quoted() { case $1 in *[!A-Za-z0-9/._-]*) printf "'%s'" "$1" ;; *) printf %s "$1" ;; esac; }

list_share() {
  echo "path $(readlink -f -- "$share")"
  [ -d "$share" ] || return 0
  stat -c 'root %a %u %g %G' -- "$share"
  # On a file server that maps root to nobody, run as a member of the share's group.
  in_share='' closed=''
  if ! ls "$share" >/dev/null 2>&1; then
    in_share="setpriv --reuid=65534 --regid=$(stat -c %g "$share") --clear-groups" closed=1
    if $in_share ls "$share" >/dev/null 2>&1; then closed=; fi
  fi
  [ -z "$closed" ] || echo closed
  for word in commands status; do
    if $in_share test -d "$share/gpu_$word"; then $in_share stat -c "$word %a %u %g %G" -- "$share/gpu_$word"; fi
  done
  if $in_share test -e "$share/gpu_status/${name}_status.json"; then echo known; fi
}

# Without a start the share may be away: the agent waits for it.
share_trouble() { # WHAT TODO
  [ -n "$opt_no_start" ] || die 69 "$1" "$2
  Nothing was changed. --no-start installs without a share, and leaves it to the agent to wait for it"
  warn "$1
  $2"
  share_is_away=1
}

kind_of() { # PATH: the type of what is mounted there, from /proc, which does not hang
  awk -v path="$1" '
    { point = $5; gsub(/\\040/, " ", point); for (i = 7; $i != "-"; i++); }
    point == "/" || path == point || index(path, point "/") == 1 { if (length(point) >= best) { best = length(point); type = $(i + 1) } }
    END { print type }' /proc/self/mountinfo
}

is_local() {
  case $kind in ext[234] | tmpfs | zfs | xfs | overlay | btrfs | bcachefs | f2fs) return 0 ;; *) return 1 ;; esac
}

# Sets joins, the groups that the user has to be in, new_group and new_gid, the one of them that this machine does not know,
# withheld, one that it must not be in, and making, who makes the folders: user or root.
check_access() {
  joins='' new_group='' new_gid='' withheld='' making=user
  for folder in gpu_commands gpu_status; do
    if [ "$folder" = gpu_commands ]; then found=$commands; else found=$status_folder; fi
    if [ -n "$found" ]; then
      check_folder "$found" "$share/$folder"
    elif ! let_in "$root"; then
      making=root
      # Where others may not even pass.
      case $withheld$mode in "$mode" | *[1357]) ;; *) refuse_group "$share" "sudo chgrp $user $(quoted "$share")" ;; esac
    fi
  done
}

refuse_group() { # PATH CHGRP
  share_trouble "$user would need the group $withheld to write to $1, but that is a system group here: it may allow more than that" \
    "Give the folder a group of its own:
    sudo groupadd -rf $user
    $2
  or, if the group is for the share alone and not one of $NEVER_JOINED: --group $withheld"
}

check_folder() { # "MODE UID GID GROUP" PATH
  if let_in "$1"; then return; fi
  if [ -n "$withheld" ]; then
    own="sudo chgrp -R $user $(quoted "$share/gpu_commands") $(quoted "$share/gpu_status")"
    # The share itself, too, when it has that group.
    case $root in *" $gid $withheld") own="sudo chgrp $user $(quoted "$share")
    $own" ;; esac
    refuse_group "$2" "$own"
    return
  fi
  both="$(quoted "$share/gpu_commands") $(quoted "$share/gpu_status")" what="$runs_as cannot write to $2: owner and group $uid:$gid, mode $mode"
  if [ "$runs_as" = root ]; then
    # The unit takes its capabilities: it is a user as others are.
    share_trouble "$what" "As a service root may do no more than others: give another --user, or let it in: chown root"
    return
  fi
  # The share's own group, when it has one that may write there.
  into=$user
  if let_in "$root" && [ "$gid" != 0 ]; then into=$gid; fi
  share_trouble "$what" "Let it in:
    sudo groupadd -rf $user
    sudo chgrp -R $into $both
    sudo chmod -R g+rwX $both
    sudo chmod g+s $both
  or let the service run as root, as old ones do: --user root"
}

# Whether the user may write there, once it is in the groups that this adds to joins.
let_in() { # "MODE UID GID GROUP"
  withheld=''
  mode=${1%% *} rest=${1#* }
  uid=${rest%% *} rest=${rest#* }
  gid=${rest%% *} group=${rest#* }
  case $mode in *7) return 0 ;; esac
  case $mode in *7??) if [ "$(id -u "$runs_as" 2>/dev/null)" = "$uid" ]; then return 0; fi ;; esac
  case $mode in *7?) ;; *) return 1 ;; esac
  if groups_of_service | grep -qx "$gid"; then return 0; fi
  # Of others' users the groups are theirs to decide, and root's group is more than a share.
  if [ "$gid" = 0 ] || [ "$runs_as" != "$OUR_USER" ]; then return 1; fi
  if is_withheld "$gid" "$group"; then
    withheld=$group
    return 1
  fi
  if [ "$group" = UNKNOWN ]; then
    group=$user
    if getent group "$group" >/dev/null; then group=$user-share; fi
    new_group=$group new_gid=$gid
  fi
  case " $joins " in *" $group "*) ;; *) joins="$joins $group" ;; esac
}

# Whether the group may mean more on this machine than the share. By its number, as two names may have the same one; a
# number that no group has here becomes that of our own.
is_withheld() { # GID GROUP
  # shellcheck disable=SC2086 # one argument each
  if getent group $NEVER_JOINED | cut -d: -f3 | grep -qxF -e "$1"; then return 0; fi
  [ "$1" -lt 1000 ] || return 1
  case $2 in
    UNKNOWN | gpu | "$OUR_USER" | "$OUR_USER-share" | "$opt_group") return 1 ;;
    # An agent is in it anyway: install_user().
    ollama) [ "$opt_role" != agent ] || return 1 ;;
  esac
}

make_share_folders() {
  if [ -z "$uses_share" ] || [ -n "$share_is_away" ]; then return 0; fi
  for folder in gpu_commands gpu_status; do
    if [ "$folder" = gpu_commands ]; then found=$commands; else found=$status_folder; fi
    [ -z "$found" ] || continue
    change "folder$TAB$share/$folder$TAB$runs_as" "make the folder $share/$folder" bounded "$SHARE_LIMIT_S" make_share_folder "$share/$folder"
    remember "share $share/$folder"
  done
}

# As the agent creates folders: with the group and the read and write bits of their parent.
make_share_folder() { # PATH
  if [ "$making" = root ]; then
    # From inside, and only when it is still the one: a link in its place would lead elsewhere.
    mkdir "$1" && cd -P -- "$1" && [ "$(pwd -P)" = "$(cd -P -- "$share" && pwd -P)/${1##*/}" ] &&
      chgrp "$(id -g "$user")" . && chmod 2775 .
    return
  fi
  mode=$(printf '%04d' "$(stat -c %a "$share")")
  gid=$(stat -c %g "$share")
  bits=2$(echo "${mode#?}" | sed 's/[2367]/7/g; s/[45]/5/g; s/[01]/0/g')
  # The user cannot set a group that it is not in; then the folder is writable for all anyway.
  # shellcheck disable=SC2016 # its own arguments
  as_user sh -c 'mkdir "$1" && { chgrp "$2" "$1" 2>/dev/null || true; } && chmod "$3" "$1"' sh "$1" "$gid" "$bits"
}

# As the service runs.
as_user() {
  setpriv --reuid="$runs_as" --regid="${runs_in:-$(id -g "$runs_as")}" --groups="$(groups_of_service | paste -sd, -)" "$@"
}

groups_of_service() { # their numbers, one a line
  { id -G "$runs_as" 2>/dev/null || true; } | tr ' ' '\n'
  for group_there in $runs_in $runs_in_too; do getent group "$group_there" | cut -d: -f3; done
}

# Removes what the agent has there, and when it was the last what is there for all. As the service's user, who may do no
# more than those who may write there: links on a share lead to anywhere.
leave_share() { # SHARE NAME [INSTANCE]: nothing when that name is another instance's by now
  # shellcheck disable=SC2016 # its own arguments
  as_user sh -c '
    [ ! -L "$1/gpu_commands" ] && [ ! -L "$1/gpu_status" ] || exit 0
    if [ -e "$1/gpu_status/$2_status.json" ] && ! grep -qF -e "$3" "$1/gpu_status/$2_status.json"; then exit 0; fi
    rm -rf "$1/gpu_commands/$2"
    rm -f "$1/gpu_status/$2_status.json"
    for folder in "$1"/gpu_commands/*/ "$1"/gpu_status/*/; do [ ! -d "$folder" ] || exit 0; done
    rmdir "$1/gpu_commands/.tmp" "$1/gpu_commands/.claims" "$1/gpu_status/.tmp" 2>/dev/null || true' sh "$1" "$2" "${3-}"
}

# A folder on the share, when nobody has anything in it: as the service's user, as links there lead to anywhere. Root, who may
# have made it, only removes an empty folder.
drop_empty() { # FOLDER
  # shellcheck disable=SC2016 # its own arguments
  as_user sh -c '[ ! -d "$1" ] || [ -L "$1" ] || [ -n "$(ls "$1")" ] || { rm -rf "$1/.tmp" "$1/.claims" && rmdir "$1"; }' sh "$1" \
    2>/dev/null || rmdir "$1"
}

# ---- installing --------------------------------------------------------------------------------------------------------

install_service() {
  find_release
  check_signature
  choose_variant
  for file in "$unit" "$settings"; do verify "systemd/$file" "$temp/$file"; done
  verify "$LICENSES"
  find_installed
  decide
  [ -z "$opt_manage_blobs" ] || find_blobs
  changes=0 backups=0 replaced='' unit_changed='' share_is_away='' kind='' is_known='' joins='' new_group='' making=user ollama=''
  [ -z "$uses_share" ] || look_at_share
  if [ -n "$uses_share" ] && [ -z "$share_is_away" ]; then check_access; fi
  announce
  [ -z "$old_unit" ] || confirm "Stop the old $unit and take its place?"
  begin
  note_service
  install_user
  install_files
  install_unit
  make_share_folders
  start_service
  commit
  conclude
}

announce() {
  built=${variant#-}
  built=${built:-built here}
  what="$program $version ($built)"
  if [ "$opt_role" = agent ]; then what="$what as $name"; fi
  where=${uses_share:+$share${kind:+ ($kind)}}
  if [ -n "$transport" ]; then where="${where:+$where and }$transport"; fi
  say "$what on $where, checksums${signed:+ and signature} verified"
  [ -z "$opt_dry_run" ] || say "Would change:"
}

# Undone at the very end: files are back, then the service is what it was.
note_service() {
  before=inactive
  if is_booted && is_wanted; then before=active; fi
  [ -n "$opt_dry_run" ] || note "service$TAB$unit$TAB$before"
}

install_user() {
  if [ -n "$new_group" ]; then
    change "group$TAB$new_group" "make the group $new_group with the number $new_gid, as the share has it" \
      whole groupadd --system --gid "$new_gid" "$new_group"
    remember "group $new_group"
  fi
  if ! id "$user" >/dev/null 2>&1; then
    change "user$TAB$user" "make the system user $user, without login" add_user
    remember "user $user"
  fi
  # Where Ollama keeps its models may be closed to others: see "Disk" in docs/operations.md.
  case "$opt_role $user $joins " in
    *" ollama "*) ;;
    "agent $OUR_USER "*) if getent group ollama >/dev/null; then joins="$joins ollama"; fi ;;
  esac
  # An earlier release may have added it.
  for group in $NEVER_JOINED; do
    if remembered member | grep -qxF -e "$user $group"; then
      warn "$user is in the group $group since an earlier install.sh. Give the share another group, then: sudo gpasswd -d $user $group"
    fi
  done
  for group in $joins; do
    if [ "$group" = "$user" ]; then continue; fi
    if id -nG "$user" 2>/dev/null | tr ' ' '\n' | grep -qxF -e "$group"; then continue; fi
    change "leave$TAB$user$TAB$group" "add $user to the group $group" whole usermod -aG "$group" "$user"
    remember "member $user $group"
    replaced=1
  done
}

add_user() {
  set -- --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin
  if getent group "$user" >/dev/null; then set -- "$@" --gid "$user"; else set -- "$@" --user-group; fi
  whole useradd "$@" "$user"
}

install_files() {
  make_program_folder "$prefix/bin"
  put_file "$release/$program$variant" "$prefix/bin/$program" 755 "$(listed_sum "$program$variant")"
  restart=$replaced
  put_file "$release/gpuctl$variant" "$prefix/bin/gpuctl" 755 "$(listed_sum "gpuctl$variant")"
  replaced=$restart
  make_folder "$CONFIG" 0755 root:root
  put_file "$release/$LICENSES" "$CONFIG/$LICENSES" 644 "$(listed_sum "$LICENSES")"
  replaced=$restart
  put_copied_files
  restart=$replaced
  if [ -n "$brings_keys" ]; then
    put_file "$temp/release_keys" "$CONFIG/release_keys" 644 "$(listed_sum systemd/release_keys)"
  fi
  write_settings
  make_folder "$state" 0750 "$user:$(id -gn "$user" 2>/dev/null || echo "$user")"
  remember "$(release_record)"
}

# Of the service's user, as its other secrets: the group may have people in it who use the share.
put_copied_files() {
  for pair in $COPIED_FILES; do
    given=$(given_for "$pair")
    [ -z "$given" ] || put_file "$given" "$(copy_of "$pair")" 600 '' "$user"
  done
}

make_program_folder() { # PATH: and its parents, each to be removed again
  [ ! -d "$1" ] || return 0
  make_program_folder "$(dirname "$1")"
  make_folder "$1" 0755 root:root
  remember "folder $1"
}

# Existing lines stay in their order. Given values are set; new keys are added as comments.
write_settings() {
  set -- "$CONFIG/$settings"
  if [ -f "$1" ]; then cp "$1" "$temp/settings"; else cp "$temp/$settings" "$temp/settings"; fi
  add_new_settings "$temp/settings"
  for key in SHARE NAME OLLAMA TRANSPORT NATS_PREFIX MIRROR_URL; do
    eval "given=\$opt_$(echo "$key" | tr '[:upper:]' '[:lower:]')"
    if [ "$key" = SHARE ]; then
      given=''
      if [ -n "$uses_share" ] && [ -z "$named_share" ]; then given=$share; fi
    fi
    settle "$key" "$given"
  done
  for pair in $COPIED_FILES; do
    if [ -n "$(given_for "$pair")" ]; then settle "${pair%:*}" "$(copy_of "$pair")"; fi
  done
  # They may hold a proxy's password: who closed them keeps them closed.
  put_file "$temp/settings" "$1" "$(stat -c %a "$1" 2>/dev/null || echo 644)"
  replaced=$restart
}

settle() { # KEY VALUE: unless it has one
  if [ -z "$2" ] || [ -n "$(setting "$1")" ]; then return 0; fi
  set_setting "$temp/settings" "$1" "$2"
  restart=1
}

add_new_settings() { # FILE: gets the paragraphs of the release's settings whose key it does not name
  known=$(sed -n 's/^[#[:space:]]*\(GPU_COURIER_[A-Z_]*\)[[:space:]]*=.*/\1/p' "$1" | tr '\n' ' ')
  awk -v known="$known" -v version="$version" '
    BEGIN { RS = ""; FS = "\n" }
    match($NF, /GPU_COURIER_[A-Z_]*/) && !index(" " known, " " substr($NF, RSTART, RLENGTH) " ") {
      if (!added++) printf "\n# New in %s:\n", version
      print "\n" $0
    }' "$temp/$settings" >"$1.more"
  cat "$1.more" >>"$1"
}

set_setting() { # FILE KEY VALUE: in place of the commented line
  awk -v key="GPU_COURIER_$2" -v value="$3" '
    !done && index($0, "#" key "=") == 1 { print key "=" value; done = 1; next }
    { print }
    END { if (!done) print key "=" value }' "$1" >"$1.set"
  mv "$1.set" "$1"
}

install_unit() {
  sed "s|@BIN@|$prefix/bin|g; s|@USER@|$user|g" "$temp/$unit" >"$temp/unit"
  if [ -n "$old_unit" ]; then take_over; fi
  if [ -n "$installed" ] && ! cmp -s "$temp/unit" "$UNITS/$unit" && [ "$(remembered unit)" != "$(sum_of "$UNITS/$unit")" ]; then
    put_file "$UNITS/$unit" "$CONFIG/$unit.edited" 644
    say "  ($unit had been edited: repeat the changes with systemctl edit $unit)"
  fi
  changes_before=$changes
  put_file "$temp/unit" "$UNITS/$unit" 644
  if [ "$changes" -gt "$changes_before" ]; then unit_changed=1; fi
  remember_unit
  [ -z "$opt_manage_blobs" ] || manage_blobs
  # Who disabled it later meant it.
  if [ -z "$installed" ] && ! is_enabled; then
    change "disable$TAB$unit" "enable $unit at boot" systemctl --quiet --no-reload enable "$unit"
  fi
  reload
}

# For files that were changed here, or by hand and not yet taken up. Once a run: systemd looks at every mount point of the
# fstab for it, and needs 90 s while one hangs.
reload() {
  is_booted || return 0
  if [ -n "$unit_changed" ] || [ "$(property NeedDaemonReload)" = yes ]; then
    change none "reload systemd" systemctl daemon-reload
  fi
}

# Sets blobs, the folder of Ollama's blobs, links followed.
find_blobs() {
  models=$(setting OLLAMA_MODELS)
  models=${models:-/usr/share/ollama/.ollama/models}
  blobs=$(bounded "$SHARE_LIMIT_S" readlink -e -- "$models/blobs") ||
    die 66 "There is no folder $models/blobs" "Set GPU_COURIER_OLLAMA_MODELS in $CONFIG/$settings, or pull the first model"
  case $blobs in *[!A-Za-z0-9/._-]*) die 64 "A unit cannot contain this path: $blobs" "See docs/operations.md, Ollama" ;; esac
  # Everything there is done as the folder's own user: a link that Ollama's user put there must not lead root elsewhere.
  [ "$(bounded "$SHARE_LIMIT_S" stat -c %u -- "$blobs")" != 0 ] || [ "$runs_as" = root ] ||
    die 73 "$blobs belongs to root" "Give the right by hand: sudo setfacl -m u:$runs_as:rwx $blobs, and see docs/operations.md, Ollama"
}

# The right to write in the folder of the blobs: of the file system, and of the unit, for which /usr is read-only.
manage_blobs() {
  if ! bounded "$SHARE_LIMIT_S" as_user test -w "$blobs" 2>/dev/null; then
    if command -v setfacl >/dev/null; then how=acl; else how=group; fi
    change "forbid$TAB$how$TAB$runs_as$TAB$blobs" "let $runs_as write in $blobs" \
      bounded "$SHARE_LIMIT_S" permit_writing "$how" "$runs_as" "$blobs"
    remember "blobs $how $runs_as $blobs"
  fi
  case $blobs in /usr/* | /etc/* | /boot/* | /efi/*) ;; *) return 0 ;; esac
  printf '%s --manage-blobs\n[Service]\nReadWritePaths=-%s\n' "$OUR_FIRST_WORDS" "$blobs" >"$temp/blobs.conf"
  make_folder "$UNITS/$unit.d" 0755 root:root
  changes_before=$changes
  put_file "$temp/blobs.conf" "$UNITS/$unit.d/blobs.conf" 644
  if [ "$changes" -gt "$changes_before" ]; then unit_changed=1; fi
}

# With setfacl for this user alone, else for the folder's group, which the service has joined: install_user().
permit_writing() { # acl|group USER FOLDER
  # shellcheck disable=SC2016 # its own arguments
  case $1 in
    acl) in_blobs "$3" 'exec setfacl -m "u:$1:rwx" .' "$2" ;;
    *) in_blobs "$3" 'case " $2 " in *" $(stat -c %g .) "*) exec chmod g+w . ;; esac
      echo "there is no setfacl, and $1 is not in the group $(stat -c %G .): install the package acl" >&2; exit 1' \
      "$2" "$(groups_of_service | paste -sd ' ')" ;;
  esac
}

forbid_writing() { # acl|group USER FOLDER
  # shellcheck disable=SC2016 # its own arguments
  case $1 in
    acl) in_blobs "$3" 'setfacl -x "u:$1" . && if ! getfacl -cp . | grep -q "^[a-z]*:[^:]"; then setfacl -b .; fi' "$2" ;;
    *) in_blobs "$3" 'exec chmod g-w .' ;;
  esac
}

# As the folder's own user and from inside: the owner of what is above it may put another folder in its place meanwhile.
in_blobs() { # FOLDER SCRIPT ARGUMENT...
  inside=$1 owner=$(stat -c %u -- "$1") script=$2
  shift 2
  [ "$owner" != 0 ] || { echo "$inside belongs to root" >&2; return 1; }
  # shellcheck disable=SC2016 # its own arguments
  setpriv --reuid="$owner" --regid="$(stat -c %g -- "$inside")" --clear-groups sh -c '
    cd -P -- "$1" && [ "$(pwd -P)" = "$1" ] && [ "$(stat -c %u .)" = "$(id -u)" ] || exit 1
    if ls -A | grep -qv "^sha256-"; then echo "$1 holds more than the blobs of Ollama" >&2; exit 1; fi
    shift
    '"$script" sh "$inside" "$@"
}

# What --manage-blobs has given.
take_back_blobs() {
  remembered blobs >"$temp/blobs"
  while read -r how who path; do
    [ -d "$path" ] || continue
    change "permit$TAB$how$TAB$who$TAB$path" "take the right to write in $path from $who" \
      bounded "$SHARE_LIMIT_S" forbid_writing "$how" "$who" "$path"
  done <"$temp/blobs"
  if [ -s "$temp/blobs" ] && [ -z "$opt_dry_run" ]; then sed -i '/^blobs /d' "$keep/made"; fi
  if is_ours "$UNITS/$unit.d/blobs.conf"; then drop_file "$UNITS/$unit.d/blobs.conf"; fi
}

remember_unit() {
  if [ -n "$opt_dry_run" ] || [ "$(remembered unit)" = "$(sum_of "$temp/unit")" ]; then return; fi
  if [ -f "$keep/made" ]; then sed -i '/^unit /d' "$keep/made"; fi
  remember "unit $(sum_of "$temp/unit")"
}

take_over() {
  if [ "$before" = active ]; then
    change none "stop the old $unit" systemctl stop "$unit"
  fi
  # Of a service that was taken over before and never brought back.
  drop_file "$keep/old"
  make_folder "$keep/old" 0700 root:root
  if [ -z "$opt_dry_run" ]; then
    note "remove$TAB$keep/old/was"
    if is_enabled; then enabled=enabled; else enabled=disabled; fi
    echo "$before $enabled" >"$keep/old/was"
  fi
  if [ "$old_unit" = "$UNITS/$unit" ]; then move "$old_unit" "$keep/old/$unit"; fi
  if [ -d "$UNITS/$unit.d" ]; then move "$UNITS/$unit.d" "$keep/old/$unit.d"; fi
}

# ---- starting ----------------------------------------------------------------------------------------------------------

start_service() {
  if ! is_booted; then
    say "systemd is not running: $unit starts at the next boot"
    return
  fi
  if [ -n "$opt_no_start" ]; then return; fi
  if is_active && [ -z "$replaced" ] && ! runs_older; then return; fi
  if is_active && [ -z "$old_unit" ]; then verb=restart; else verb=start; fi
  change "stop$TAB$unit" "$verb $unit" true
  [ -z "$opt_dry_run" ] || return 0
  # If this fails, undo also removes the agent's files on the share, unless an agent of that name existed before.
  if [ -z "$installed$is_known$transport" ] && [ "$opt_role" = agent ]; then note "share$TAB$share$TAB$name$TAB$runs_as"; note "stop$TAB$unit"; fi
  status=0
  bounded "$START_LIMIT_S" systemctl restart "$unit" >"$temp/start" || status=$?
  if was_stopped; then return; fi
  [ "$status" != 124 ] || die_unwell "it did not get ready within $START_LIMIT_S s"
  [ "$status" = 0 ] || die_unwell "it does not start: $(cat "$temp/start")"
  if [ "$opt_role" = agent ]; then wait_until_ready; fi
}

# Whether it runs a program that was replaced, or was started before its unit was written: by a run with --no-start.
runs_older() {
  pid=$(property MainPID)
  case $(readlink "/proc/$pid/exe" 2>/dev/null) in *' (deleted)') return 0 ;; esac
  [ "$(stat -c %Y "$UNITS/$unit")" -gt "$(date -d "$(property ExecMainStartTimestamp)" +%s)" ]
}

# Someone stopped it meanwhile, which is not a failure of the new version.
was_stopped() {
  [ "$(property ActiveState)" = inactive ] && [ "$(property Result)" = success ] || return 1
  # Without a job under way it is empty, of some versions 0.
  case $(property Job) in '' | 0) ;; *) return 1 ;; esac
  say "$unit was stopped by someone meanwhile and stays stopped: sudo systemctl start $unit"
}

# Ready is: its state on the share is fresh and of this version, and a ping is answered.
wait_until_ready() {
  deadline=$(($(date +%s) + READY_LIMIT_S)) why="its state did not show on ${transport:-$share}"
  while [ "$(date +%s)" -lt "$deadline" ]; do
    if was_stopped; then return; fi
    if [ "$(property ActiveState)" = failed ]; then die_unwell "it ended with exit status $(property ExecMainStatus)"; fi
    if [ "$(property NRestarts)" -ge 3 ]; then die_unwell "it keeps exiting"; fi
    if is_ready; then
      look_at_ollama
      return
    fi
    sleep 0.2
  done
  die_unwell "it was not ready within $READY_LIMIT_S s: $why"
}

is_ready() {
  pid=$(property MainPID)
  if [ -n "$transport" ]; then
    is_ready_on_nats
    return
  fi
  name=$(running NAME "$name") share=$(running SHARE "$share")
  read_row || return 1
  case $row in
    *'"status":"online"'*"\"agent_version\":\"$version\""*) ;;
    *'"status":"online"'*) why="its state says $(echo "$row" | grep -o '"agent_version":[^,]*')"; return 1 ;;
    *) return 1 ;;
  esac
  # The service's user has no key to sign a ping with: where even that must be signed, the state is enough.
  [ "$(running REQUIRE_SIGNATURES '')" = all ] || why=$(ask_share ping --agent "$name" --timeout 5) || return 1
}

# With its credentials nobody may list agents or send a ping: its own words count, once it has published its state.
is_ready_on_nats() {
  why=$(property StatusText)
  case $why in "$(running NAME "$name") on "*) ;; *) return 1 ;; esac
}

# Sets row to gpuctl's entry of this agent, and ollama to that of its Ollama.
read_row() {
  rows=$(ask_share agents --json | tr '{' '\n' | grep -F -A 1 "\"agent\":\"$name\",") || return 1
  row=$(echo "$rows" | sed -n 1p) ollama=$(echo "$rows" | sed -n 2p)
}

look_at_ollama() {
  if [ -n "$transport" ]; then
    look_at_ollama_by_status
    return
  fi
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    case $ollama in *'"reachable":true'* | *'"error":"'*) break ;; esac
    sleep 0.5
    read_row || true
  done
  case $ollama in
    *'"reachable":true'*) ollama="Ollama $(echo "$ollama" | sed 's/.*"version":"\([^"]*\)".*/\1/')" ;;
    *) ollama='Ollama does not answer' ;;
  esac
  [ "$ollama" != 'Ollama does not answer' ] ||
    warn "Ollama does not answer. The agent waits for it: check systemctl status ollama, or set GPU_COURIER_OLLAMA in $CONFIG/$settings"
  case $row in *'"reason":"degraded"'*) warn "$name is degraded: gpuctl agents shows the reason" ;; esac
}

look_at_ollama_by_status() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    why=$(property StatusText)
    case $why in *', Ollama '[0-9]*)
      ollama="Ollama $(echo "$why" | sed 's/.*, Ollama \([0-9][^, ]*\).*/\1/')"
      return ;;
    esac
    sleep 0.5
  done
  ollama='Ollama does not answer'
  warn "Ollama does not answer. The agent waits for it: check systemctl status ollama, or set GPU_COURIER_OLLAMA in $CONFIG/$settings"
}

ask_share() { # COMMAND...: with gpuctl, as the service's user
  bounded 15 as_user env -i "$prefix/bin/gpuctl" "$@" --share "$share" 2>&1
}

running() { # KEY DEFAULT: what the running service has on its command line or in its environment, drop-ins included
  flag=--$(echo "$1" | tr '[:upper:]_' '[:lower:]-')
  value=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | sed -n "s/^$flag=//p; /^$flag\$/{n;p;}" | tail -n 1) || value=
  [ -n "$value" ] || value=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n "s/^GPU_COURIER_$1=//p") || value=
  echo "${value:-$2}"
}

die_unwell() { # WHY
  printf 'The end of its log:\n' >&2
  journalctl --unit "$unit" --lines 8 --no-pager --output cat >&2 2>/dev/null || true
  die 1 "$program $version is unhealthy: $1" "See above, and journalctl -u $unit"
}

conclude() {
  if [ -n "$opt_dry_run" ]; then
    [ "$changes" -gt 0 ] || say "  nothing"
  elif [ "$changes" = 0 ]; then
    say "Nothing new: $program $version is already installed, and nothing was restarted"
  elif ! is_booted || ! is_active; then
    say "Done. $unit is not running: sudo systemctl start $unit"
  elif runs_older; then
    say "Done. $unit still runs the previous version: sudo systemctl restart $unit"
  else
    say "Done: $unit runs${ollama:+, $ollama}"
    say_what_next
  fi
}

say_what_next() {
  say "  settings   $CONFIG/$settings, then systemctl restart $unit"
  say "  log        journalctl -fu $unit"
  if [ "$opt_role" = agent ]; then
    where="--share $share"
    if [ -n "$transport" ]; then where="--transport $transport --nats-creds FILE, where an operator has credentials"; fi
    say "  agents     gpuctl agents $where"
    say "  problems   gpuctl doctor $where"
    say_key
    [ -z "$old_unit" ] || say "  undo       sudo $0 --uninstall --restore"
  else
    say "Every request needs a token; without one the server listens only on this machine. To create one:"
    say "  sudo -u $user $prefix/bin/gpu-server token add NAME --role gp --state-dir $state"
  fi
}

# To be compared with the key that readers of the share see. One that systemd hands over is not there.
say_key() {
  [ -f "$state/signing.key" ] || return 0
  key=$(bounded 15 as_user env -i "$prefix/bin/gpu-agent" key --name "$name" --state-dir "$state" 2>/dev/null) || return 0
  say "  key        $key"
}

# ---- removing ----------------------------------------------------------------------------------------------------------

uninstall() {
  find_installed
  prefix=${installed_prefix:-${opt_prefix:-/usr/local}} name='' version='' changes=0 backups=0 unit_changed=''
  if [ -n "$opt_restore" ] && [ ! -d "$keep/old" ]; then
    die 66 "No legacy service was taken over on this machine" "Omit --restore"
  fi
  # Its state is its own.
  user=${installed_user:-$(stat -c %U "$state" 2>/dev/null || echo "$OUR_USER")}
  find_identity
  [ -z "$opt_purge" ] || confirm "Remove settings and state for good?"
  [ -z "$opt_dry_run" ] || say "Would change:"
  begin
  if [ -n "$installed" ]; then remove_service; fi
  if [ -n "$opt_restore" ]; then bring_back; fi
  if [ -n "$opt_restore" ] && [ -z "$opt_dry_run" ]; then rm -rf "$keep/old"; fi
  commit
  if [ -n "$installed" ]; then drop_prefix; fi
  if [ -n "$opt_purge" ]; then purge; fi
  if [ "$changes" = 0 ]; then
    say "Nothing of $program is installed here"
  elif [ -z "$opt_dry_run$opt_purge" ]; then
    say "Done. Kept until --uninstall --purge: $CONFIG/$settings and $state"
    [ ! -d "$keep/old" ] || say "  and the legacy $unit, in $keep/old: --uninstall --restore brings it back"
  fi
}

remove_service() {
  note_service
  if [ "$before" = active ]; then change none "stop $unit" systemctl stop "$unit"; fi
  if is_enabled; then
    change "enable$TAB$unit" "disable $unit" systemctl --quiet --no-reload disable "$unit"
  fi
  drop_file "$UNITS/$unit"
  if [ "$opt_role" = agent ]; then take_back_blobs; fi
  drop_file "$prefix/bin/$program"
  other_role_is_installed || {
    drop_file "$prefix/bin/gpuctl"
    drop_file "$CONFIG/$LICENSES"
  }
  unit_changed=1
  reload
  if is_booted && [ -z "$opt_dry_run" ]; then systemctl reset-failed "$unit" 2>/dev/null || true; fi
}

# The folders created for the programs, unless something else is in them now.
drop_prefix() {
  for folder in $(remembered folder | sort -r); do
    if [ -n "$opt_dry_run" ] || [ -z "$(ls -A "$folder" 2>/dev/null || echo gone)" ]; then for_good "remove $folder when it is empty" rmdir "$folder"; fi
  done
}

bring_back() {
  read -r was enabled <"$keep/old/was"
  if [ -d "$UNITS/$unit.d" ]; then move "$UNITS/$unit.d" "$CONFIG/$unit.d"; fi
  if [ -e "$keep/old/$unit" ]; then move "$keep/old/$unit" "$UNITS/$unit"; fi
  if [ -d "$keep/old/$unit.d" ]; then move "$keep/old/$unit.d" "$UNITS/$unit.d"; fi
  if [ "$enabled" = enabled ]; then
    change "disable$TAB$unit" "enable the old $unit" systemctl --quiet --no-reload enable "$unit"
  fi
  unit_changed=1
  reload
  if [ "$was" = active ] && is_booted && [ -z "$opt_no_start" ]; then
    change "stop$TAB$unit" "start the old $unit" systemctl start "$unit"
  fi
}

# Not to be undone: so it comes when all else is done.
purge() {
  share=$(setting SHARE)
  name=$(agent_name)
  if [ "$opt_role" = agent ] && [ -n "$share" ] && [ -f "$state/instance" ]; then
    for_good "remove what $name has on $share" bounded "$SHARE_LIMIT_S" leave_share "$share" "$name" \
      "$(cat "$state/instance")"
  fi
  if ! other_role_is_installed; then
    remembered share >"$temp/shares"
    while read -r path; do
      for_good "remove $path when it is empty" bounded "$SHARE_LIMIT_S" drop_empty "$path"
    done <"$temp/shares"
  fi
  case $opt_role:$(setting TRANSPORT) in agent:nats:* | agent:tls:*)
    say "  (what $name has on NATS stays there: an operator removes it with gpuctl forget $name)" ;;
  esac
  set -- "$state" "$CONFIG/$settings" "$CONFIG/$unit.edited" "$CONFIG/$unit.d"
  for pair in $COPIED_FILES; do set -- "$@" "$(copy_of "$pair")"; done
  # Beside a unit that is not ours, and ours is gone by now, the drop-ins are not ours either.
  if [ ! -e "$UNITS/$unit" ]; then set -- "$@" "$UNITS/$unit.d"; fi
  for path in "$@"; do
    [ ! -e "$path" ] || for_good "remove $path" rm -rf "$path"
  done
  if ! other_role_is_installed && [ -e "$CONFIG/release_keys" ]; then
    for_good "remove $CONFIG/release_keys" rm -f "$CONFIG/release_keys"
  fi
  [ ! -d "$CONFIG" ] || [ -n "$opt_dry_run" ] || rmdir "$CONFIG" 2>/dev/null || true
  if other_role_is_installed; then
    if [ -f "$keep/made" ] && [ -z "$opt_dry_run" ]; then hand_over; fi
  else
    remembered member | while read -r who group; do
      for_good "take $who out of the group $group" whole gpasswd -d "$who" "$group"
    done
    for account in $(remembered user); do for_good "remove the user $account" whole userdel "$account"; done
    for group in $(remembered group); do
      if getent group "$group" >/dev/null || [ -n "$opt_dry_run" ]; then for_good "remove the group $group" whole groupdel "$group"; fi
    done
  fi
  [ ! -d "$keep" ] || for_good "remove $keep" rm -rf "$keep"
  [ ! -d "$KEEP" ] || [ -n "$opt_dry_run" ] || rmdir "$KEEP" 2>/dev/null || true
}

# What both roles use is the other's to remove now.
hand_over() {
  for other in "$KEEP"/agent/made "$KEEP"/server/made; do
    if [ "$other" = "$keep/made" ] || ! [ -f "$other" ]; then continue; fi
    sed '/^unit /d; /^release /d' "$keep/made" >>"$other"
  done
}

for_good() { # TEXT COMMAND...
  text=$1
  shift
  changes=$((changes + 1))
  say "  $text"
  [ -n "$opt_dry_run" ] || "$@" >/dev/null 2>"$temp/why" || warn "Cannot $text: $(cat "$temp/why")"
}

# ---- the way through ---------------------------------------------------------------------------------------------------

on_exit() { # STATUS
  set +e
  trap '' INT TERM HUP PIPE
  trap - EXIT
  if [ -z "$opt_dry_run" ] && [ -n "$is_mine" ] && [ -e "$undo/journal" ]; then
    printf 'Undoing the changes ...\n' >&2
    if undo_all; then
      if [ -n "$is_down" ]; then what='All files are as they were'; else what='All changes were undone'; fi
      printf '%s.\n' "$what" >&2
      if is_booted && is_active; then printf '%s is running again.\n' "$unit" >&2; fi
    else
      printf 'The remaining changes to undo are in %s: run install.sh again.\n' "$undo" >&2
    fi
  elif [ -z "$opt_dry_run" ] && [ -n "$is_mine" ] && [ -d "$undo" ]; then
    # It ended before its first change.
    commit
  fi
  rm -rf "$temp"
  exit "$1"
}

require_machine() {
  if [ -z "$opt_dry_run" ] && [ "$(id -u)" != 0 ]; then die 77 "This needs root" "sudo $invoked"; fi
  if ! command -v systemctl >/dev/null; then
    die 69 "This machine has no systemd" "Start $program by hand: docs/operations.md, Start by hand"
  fi
  if ! is_booted && [ -z "$opt_no_start$opt_dry_run$opt_uninstall" ]; then
    die 69 "systemd is not running" "For an image that boots later, use --no-start"
  fi
  exec 9<"$UNITS"
  # One that was killed may have left a command that still runs.
  flock -w 5 9 || die 73 "Another install.sh is running" "Wait for it, then run this again"
  is_mine=1
}

# Of both roles, which share user and folders.
undo_earlier() {
  wanted=$opt_role
  for opt_role in agent server; do
    set_role
    if [ -e "$undo/journal" ]; then
      say "An earlier run was interrupted: undoing its changes"
      undo_all || die 1 "Cannot undo it" "See above; the remaining changes to undo are in $undo"
    fi
  done
  opt_role=$wanted
  set_role
}

main() {
  opt_dry_run='' is_mine='' is_down='' undo='' runs_as='' runs_in='' runs_in_too='' invoked="$0 $*"
  temp=$(mktemp -d)
  trap 'on_exit $?' EXIT
  trap 'exit 130' INT TERM HUP PIPE
  read_options "$@"
  if [ -n "$opt_help" ]; then help; return; fi
  check_options
  set_role
  if [ -n "$opt_version" ]; then find_release; check_signature; choose_variant; say "$version"; return; fi
  require_machine
  [ -n "$opt_dry_run" ] || undo_earlier
  if [ -n "$opt_uninstall" ]; then uninstall; else install_service; fi
}

main "$@"
