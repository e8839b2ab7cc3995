// Must compile: the package by require.
import client = require("@fanfarehq/client");
import past = require("@fanfarehq/client/history");
import who = require("@fanfarehq/client/presence");

const ff: client.Fanfare = new client.Fanfare({ key: "k" });
void past.history(ff, "c");
void who.presence(ff, "c");
ff.close();
