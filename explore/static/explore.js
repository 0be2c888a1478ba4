// What the pages do beyond links and forms; they work without it.
"use strict";

// Forms: what is empty stays out of the address, and a range and a time of one's own exclude another.
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, text] of [...formData]) if (text === "") formData.delete(name);
  });
  const { range, from, to } = form.elements;
  range.addEventListener("change", () => { if (range.value) from.value = to.value = ""; });
  for (const own of [from, to]) own.addEventListener("change", () => { range.value = ""; });
}

// What goes on is read anew while the page is in sight. A row stays the same row: its cells are
// changed in their place, and rows only move while nobody points at the list or is at work in it.
function patch(old, fresh) {
  [...fresh.cells].forEach((cell, place) => {
    const is = old.cells[place];
    if (is.innerHTML === cell.innerHTML || is.contains(document.activeElement)) return;
    is.className = cell.className;
    is.replaceChildren(...cell.childNodes);
  });
}

function follow(list, page) {
  const body = list.querySelector("tbody");
  const fresh = page.querySelector("#list tbody");
  if (!fresh) return;
  const known = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const rows = [...fresh.rows].map((row) => {
    const old = known.get(row.dataset.id);
    if (old) patch(old, row);
    return old ?? document.adoptNode(row);
  });
  const isUsed = list.matches(":hover, :focus-within") || !getSelection().isCollapsed;
  if (isUsed) return;
  rows.forEach((row, place) => {
    if (row !== body.rows[place]) body.insertBefore(row, body.rows[place] ?? null);
  });
  while (body.rows.length > rows.length) body.lastElementChild.remove();
}

function every(seconds, read, isWanted = () => true) {
  const again = async () => {
    if (!document.hidden && isWanted()) {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.ok) read(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  };
  const next = () => setTimeout(() => again().catch(() => {}).finally(next), 1000 * seconds);
  next();
}

const list = document.getElementById("list");
const wanted = document.getElementById("follow");
if (list && wanted && list.dataset.follow === "yes") {
  wanted.closest("[hidden]").hidden = false;
  every(5, (page) => follow(list, page), () => wanted.checked);
}

// The overview's figures above the charts, where the time goes on to now.
const figures = document.getElementById("totals");
if (figures && figures.dataset.follow === "yes") {
  every(30, (page) => {
    const fresh = page.querySelectorAll("#totals dd");
    const old = figures.querySelectorAll("dd");
    if (fresh.length !== old.length || figures.contains(document.activeElement)) return;
    old.forEach((one, place) => {
      if (one.innerHTML !== fresh[place].innerHTML) one.replaceChildren(...fresh[place].childNodes);
    });
  });
}
