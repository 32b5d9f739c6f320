set -eu
"${PYTHON:-python3}" -m venv "$VENV"
"$VENV/bin/pip" install ${REQUIREMENTS:+-r "$REQUIREMENTS"} streamlit
: > "$VENV/.complete"
