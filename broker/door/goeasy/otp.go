package goeasy

import (
	"crypto/aes"
	"encoding/base64"
	"errors"
	"strconv"
	"time"
)

// OTPs are "000" and the time in milliseconds, of 13 digits, which together
// are one block of AES; the app's secret is the key. (GoEasy-OTP, its
// documentation's page otp.)
const otpAge = 5 * time.Minute // how far its time may be from the server's

var errOTP = errors.New("goeasy: the OTP was not made with the app's secret key")

// readOTP is the time at which an OTP was made.
func readOTP(secret, text string) (time.Time, error) {
	block, err := aes.NewCipher([]byte(secret))
	if err != nil {
		return time.Time{}, errOTP
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sealed) != aes.BlockSize {
		return time.Time{}, errOTP
	}
	var plain [aes.BlockSize]byte
	block.Decrypt(plain[:], sealed)
	if string(plain[:3]) != "000" {
		return time.Time{}, errOTP
	}
	for _, c := range plain[3:] {
		if c < '0' || c > '9' {
			return time.Time{}, errOTP
		}
	}
	ms, err := strconv.ParseInt(string(plain[3:]), 10, 64)
	if err != nil {
		return time.Time{}, errOTP
	}
	return time.UnixMilli(ms), nil
}
