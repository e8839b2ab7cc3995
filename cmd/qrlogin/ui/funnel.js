// The numbers of the funnel's page, anew every five seconds while it is seen.
setInterval(async () => {
  if (document.visibilityState !== "visible") return;
  const r = await fetch("/funnel", { credentials: "same-origin", redirect: "error" }).catch(() => null);
  if (!r?.ok) return;
  const fresh = new DOMParser().parseFromString(await r.text(), "text/html"); // our own server's template, escaped there
  for (const [i, table] of document.querySelectorAll("table").entries()) table.replaceWith(fresh.querySelectorAll("table")[i]);
}, 5000);
