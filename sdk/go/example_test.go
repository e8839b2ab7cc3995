package fanfare_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// exampleServer stands in for a Fanfare server, so that the examples run
// anywhere. It grants publishing to "orders:*" only.
func exampleServer() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, r *http.Request) {
		type message struct{ Channel, ID string }
		var body struct {
			message
			Messages []message
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if body.Messages == nil && !strings.HasPrefix(body.Channel, "orders:") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":"not_granted","detail":"The key or token does not grant this.","remedy":"Grant the action on this channel in the token or on the key."}`)
			return
		}
		answers := []protocol.Published{}
		for _, m := range body.Messages {
			answers = append(answers, protocol.Published{Channel: protocol.Channel(m.Channel), ID: m.ID})
		}
		if body.Messages != nil {
			_ = json.NewEncoder(w).Encode(map[string]any{"messages": answers})
			return
		}
		_ = json.NewEncoder(w).Encode(protocol.Published{ID: body.ID})
	})
	mux.HandleFunc("GET /v1/sse", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: welcome\ndata: {\"type\":\"welcome\"}\n\n"+
			"event: subscribed\ndata: {\"type\":\"subscribed\",\"channel\":\"orders:42\",\"position\":\"\"}\n\n"+
			"data: {\"type\":\"message\",\"channel\":\"orders:42\",\"id\":\"1\",\"position\":\"\",\"previous\":\"\",\"time\":1764000000000,\"data\":{\"state\":\"paid\"}}\n\n"+
			"event: close\ndata: {\"type\":\"close\",\"close\":4310,\"code\":\"kicked\",\"message\":\"The app closed this connection.\",\"remedy\":\"Do not come back until the app lets you.\"}\n\n")
	})
	return httptest.NewServer(mux)
}

func ExampleClient_Publish() {
	server := exampleServer()
	defer server.Close()
	client, err := fanfare.New(server.URL, secretKey) // os.Getenv("FANFARE_SECRET_KEY")
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()

	published, err := client.Publish(context.Background(), "orders:42", map[string]any{"state": "paid"},
		fanfare.Event("changed"), fanfare.ID("order-42-paid"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(published.Channel, published.ID)

	_, err = client.Publish(context.Background(), "news", "hello")
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		fmt.Println(e.Code)
		fmt.Println(e.Remedy)
	}
	// Output:
	// orders:42 order-42-paid
	// not_granted
	// Grant the action on this channel in the token or on the key.
}

func ExampleClient_PublishAll() {
	server := exampleServer()
	defer server.Close()
	client, err := fanfare.New(server.URL, secretKey)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()

	published, err := client.PublishAll(context.Background(),
		fanfare.Message{Channel: "orders:42", Data: "paid"},
		fanfare.Message{Channel: "orders:43", Data: json.RawMessage(`{"state":"sent"}`), Event: "changed"},
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range published {
		fmt.Println(p.Channel)
	}
	// Output:
	// orders:42
	// orders:43
}

func ExampleClient_Token() {
	client, err := fanfare.New("https://push.example.com", secretKey)
	if err != nil {
		log.Fatal(err)
	}
	// In the handler that your page's getToken calls, once you know who asks:
	token, err := client.Token("user-7", protocol.Grants{Subscribe: []string{"user:7:*", "news"}}, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Count(token, "."), "dots")
	// Output:
	// 2 dots
}

func ExampleClient_Subscribe() {
	server := exampleServer()
	defer server.Close()
	client, err := fanfare.New(server.URL, publishableKey)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()

	sub, err := client.Subscribe(context.Background(), "orders:42")
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	for m, err := range sub.All() {
		if err != nil { // there will be no more
			fmt.Println(err)
			break
		}
		fmt.Printf("%s %s\n", m.Channel, m.Data)
	}
	// Output:
	// orders:42 {"state":"paid"}
	// kicked: The app closed this connection. Do not come back until the app lets you.
}
