"""An app for members of group2 only. The access rule is one line of appliance.toml; this file does not check anything."""

import streamlit as st

st.set_page_config(page_title="App 2", page_icon="📈", layout="centered")

st.title("The figures of group2")
st.caption(f"{st.user.get('user') or 'Somebody'}, you see this page because you are in group2.")

days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
visits = [120, 135, 160, 155, 190, 80, 65]

goal = st.slider("Goal per day", min_value=50, max_value=200, value=120, step=10)
reached = sum(count >= goal for count in visits)
st.metric("Days that reached the goal", f"{reached} of {len(days)}")
st.bar_chart({"day": days, "visits": visits}, x="day", y="visits", sort=False)
