# Sourced by the scripts beside it: makes .venv once, and again only when what it is made from has changed.
# Usage: ensure_venv EXTRAS   (for example: ensure_venv local,test)

say() { printf '\033[2m%s\033[0m\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  echo "voice_trio needs Python 3.11 or newer; none was found (set PYTHON to choose one)." >&2
  return 1
}

# find_other_python: the newest supported Python of this machine that is not the version of .venv, on PATH or among
# pyenv's versions; prints its command, or nothing.
find_other_python() {
  local own version candidate pyenv_root
  own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  pyenv_root="${PYENV_ROOT:-$(pyenv root 2>/dev/null || true)}"
  for version in 3.13 3.12 3.11; do
    [ "$version" = "$own" ] && continue
    for candidate in "python$version" ${pyenv_root:+"$pyenv_root"/versions/"$version".*/bin/python}; do
      # A shim of pyenv may be there for a version that is not selected.
      "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null \
        && { echo "$candidate"; return; }
    done
  done
  return 0
}

# ensure_other_venv PYTHON EXTRAS: the same as ensure_venv for a second Python; prints the folder that it made.
ensure_other_venv() {
  local python="$1" extras="$2" folder wanted
  folder=.venv-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  wanted="$extras $("$python" --version) $(cat pyproject.toml constraints.txt | cksum) $PWD"
  if [ ! -f "$folder/.made-from" ] || [ "$(cat "$folder/.made-from")" != "$wanted" ]; then
    say "making $folder with $("$python" --version) (a minute or so, only when pyproject.toml or constraints.txt change) …"
    rm -rf "$folder"
    "$python" -m venv "$folder" >/dev/null 2>&1 || return 1
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" >&2 || return 1
    printf '%s' "$wanted" > "$folder/.made-from"
  fi
  echo "$folder"
}

# Debian splits venv from Python. With root we add it ourselves; without, we say what is missing.
make_venv() {
  local python="$1"
  "$python" -m venv .venv >/dev/null 2>&1 && return
  rm -rf .venv
  apt_install python3-venv || true
  "$python" -m venv .venv || { echo "Could not make .venv: install your system's python3-venv package." >&2; return 1; }
}

# apt_install PACKAGE…: installs what is missing where we are root on Debian; otherwise says so and fails.
apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "MISSING: ${missing[*]} (needs root and apt-get to install; what depends on it is skipped)" >&2
    return 1
  fi
  say "installing Debian packages: ${missing[*]}"
  { apt-get install -y -qq "${missing[@]}" || { apt-get update -qq && apt-get install -y -qq "${missing[@]}"; }; } >/dev/null 2>&1 \
    || { echo "MISSING: apt-get could not install ${missing[*]}; what depends on it is skipped" >&2; return 1; }
}

ensure_venv() {
  local extras="$1" wanted
  wanted="$extras $(cat pyproject.toml constraints.txt | cksum) $PWD"
  [ -f .venv/.made-from ] && [ "$(cat .venv/.made-from)" = "$wanted" ] && return
  # One .venv serves both scripts: what the tests need includes what a run needs.
  [ "$extras" = local ] && [ -f .venv/.made-from ] && [ "$(cat .venv/.made-from)" = "local,test ${wanted#local }" ] && return
  local python
  python=$(find_python) || return 1
  if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    say "making .venv with $("$python" --version) …"
    rm -rf .venv
    make_venv "$python" || return 1
  fi
  say "installing voice-trio[$extras] into .venv (a minute or so, only when pyproject.toml or constraints.txt change) …"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" || return 1
  printf '%s' "$wanted" > .venv/.made-from
}
