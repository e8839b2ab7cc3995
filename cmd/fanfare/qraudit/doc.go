// Package qraudit tries a deployment of sdk/qrlogin from outside, by the six
// flaws that a study found in the QR logins of large sites (USENIX Security
// 2025) and by the threats of docs/qrlogin-threats.md that can be tried without
// its source. It is behind `fanfare qr audit`.
package qraudit
