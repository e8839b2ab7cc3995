// Must compile: the package by require.
import client = require("@fanfarehq/client");
import past = require("@fanfarehq/client/history");

const ff: client.Fanfare = new client.Fanfare({ key: "k" });
void past.history(ff, "c");
ff.close();
