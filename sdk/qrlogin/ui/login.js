// For trying out on one computer only: the code's URL as a link.
const link = document.querySelector("#link"), line = document.querySelector("#try");
addEventListener("qr-code", (e) => { link.href = e.detail.url; });
addEventListener("qr-state", (e) => { line.hidden = e.detail.state !== "ready"; });
