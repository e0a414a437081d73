# Sourced by the commands beside it, with $root set to the checkout.

# environment NAME EXTRAS: make .venv hold this checkout with EXTRAS, unless .venv/.ready-NAME says so.
environment() {
    if { printf '%s\n' "$root" && cat "$root/setup.cfg" "$root/constraints.txt"; } |
        cmp -s - "$root/.venv/.ready-$1"; then
        return
    fi
    for python in "${HDC_PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14 python3.10; do
        if "$python" -c "$suitable" 2>/dev/null; then
            "$python" "$root/bin/bootstrap.py" "$@" || exit
            return
        fi
    done
    echo "hdc: setting up needs Python 3.10 to 3.14 with its venv module" >&2
    exit 1
}

suitable='
import ensurepip, sys, venv
sys.exit(not (3, 10) <= sys.version_info < (3, 15))
'
