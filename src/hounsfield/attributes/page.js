const root = document.documentElement;
document.getElementById("language").onclick = () => {
  root.dataset.names = root.dataset.names === "zh" ? "en" : "zh";
  root.lang = root.dataset.names === "zh" ? "zh-Hans" : "en";
};
const rows = [...document.querySelectorAll("tbody tr")];
document.getElementById("search").oninput = (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of rows) {
    row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
  }
};
