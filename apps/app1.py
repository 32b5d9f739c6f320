"""Shows who is signed in, a widget that uses the WebSocket, and an upload: the three things that the proxy must pass on."""

import hashlib

import streamlit as st

st.set_page_config(page_title="App 1", page_icon="👋", layout="centered")

# These values come from headers that the proxy sets. The proxy removes every copy that a browser sends.
user = st.user.get("user") or "somebody"
email = st.user.get("email") or "unknown"
groups = [group for group in (st.user.get("groups") or "").split(",") if group]

st.title(f"Hello, {user}!")
st.caption("A small Streamlit app for everybody who is signed in.")

st.metric("Signed in as", user)
st.text(f"E-mail: {email}")
st.write("Groups: " + (" ".join(f":blue-badge[{group}]" for group in groups) or "none"))

st.subheader("Does the WebSocket work?")
if "count" not in st.session_state:
    st.session_state.count = 0
step = st.slider("Step", min_value=1, max_value=10, value=1)
if st.button("Count", type="primary"):
    st.session_state.count += step
st.metric("Counter", st.session_state.count)

st.subheader("Does an upload pass?")
uploaded = st.file_uploader("Any file, up to 200 MB")
if uploaded is not None:
    st.success(f"**{uploaded.name}**: {uploaded.size:,} bytes")
    st.code(f"sha256 {hashlib.sha256(uploaded.getbuffer()).hexdigest()}", language=None)
