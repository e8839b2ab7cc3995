<?php
// A small web app for PHP 8: sign-in by password, and a page for who is signed
// in. Without the lines from "QR login" to "end" it works as before. To try:
// PHP_CLI_SERVER_WORKERS=4 php -S 127.0.0.1:8000 shop.php
$users = ['ada' => 'correct horse', 'bob' => 'battery staple']; // yours keeps hashes

function page(string $title, string $more = ''): string {
    return "<!doctype html><meta name=\"viewport\" content=\"width=device-width\"><title>$title</title><h1>$title</h1>$more";
}

function send(int $status, string $body, string $type = 'text/html; charset=utf-8'): never {
    http_response_code($status);
    header("Content-Type: $type");
    foreach (['Cache-Control: no-store', 'X-Frame-Options: DENY', 'Referrer-Policy: no-referrer'] as $h) header($h);
    exit($status === 204 ? '' : $body);
}

// begin gives the browser a new session and forgets the one that it had.
function begin(string $user): void {
    session_regenerate_id(true);
    $_SESSION = ['id' => bin2hex(random_bytes(16)), 'user' => $user, 'attempts' => []];
}

function sign_in(string $back): string {
    $more = '<form method="post" action="/signin?back=' . urlencode($back) . '"><input name="user" placeholder="name">
      <input name="password" type="password" placeholder="password"> <button>Sign in</button></form>';
    // QR login: on the login page.
    if ($back === '/') $more .= '<script type="module" src="/qr/assets/fanfare-qr-login.js"></script><fanfare-qr-login></fanfare-qr-login>';
    // end
    return page('Sign in', $more);
}

// QR login: what the page's element asks for, and the page where the code leads.
function caller(): array { return ['ip' => $_SERVER['REMOTE_ADDR'], 'user_agent' => $_SERVER['HTTP_USER_AGENT'] ?? '', 'accept_language' => $_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? '']; }
function api(string $path, ?array $body = null): array {
    $head = ['Authorization: Bearer ' . getenv('QR_KEY'), 'Content-Type: application/json', 'Prefer: ' . ($_SERVER['HTTP_PREFER'] ?? '')];
    $text = file_get_contents(getenv('QR_URL') . $path, false, stream_context_create(['http' => ['ignore_errors' => true, 'header' => $head,
        'method' => $body ? 'POST' : $_SERVER['REQUEST_METHOD'], 'content' => $body ? json_encode($body) : '']]));
    $type = current(preg_grep('/^content-type:/i', $http_response_header)) ?: 'Content-Type: text/html';
    return [(int) explode(' ', $http_response_header[0])[1], $text, substr($type, 14)];
}
function login(string $uri, array $body): never {
    if (!str_starts_with($uri, '/qr/attempts')) send(...api($uri));
    $id = preg_split('~[/?]~', $uri)[3] ?? '';
    $secret = $_SESSION['attempts'][$id] ?? null;
    if ($id !== '' && !$secret) send(404, '{}');
    [$get, $more] = [$_SERVER['REQUEST_METHOD'] !== 'POST', $id === '' ? caller() : ['attempt_secret' => $secret] + $body];
    if ($get) session_write_close(); // a long wait holds nobody up
    [$status, $text, $type] = api('/qr/host' . substr($uri, 3), $get ? null : $more);
    $a = json_decode($text ?: '{}', true);
    if (isset($a['attempt_secret'])) $_SESSION['attempts'][$a['attempt_id']] = $a['attempt_secret'];
    if (isset($a['subject'])) begin($a['subject']);
    send($status, json_encode(array_diff_key($a, ['attempt_secret' => 1, 'subject' => 1]) + ['next' => '/']), $type);
}
function phone(string $uri, array $body): never {
    $who = ['subject' => $_SESSION['user'], 'name' => $_SESSION['user'], 'session' => $_SESSION['id'], 'ticket' => substr($uri, 3)];
    send(...api('/qr/host/phone', $who + caller() + $body + ['sec_fetch_site' => $_SERVER['HTTP_SEC_FETCH_SITE'] ?? '']));
}
// end

// QR login: webhooks, for those who want to hear of each step.
function hook(string $raw): never {
    [$id, $at, $signatures] = array_map(fn($k) => $_SERVER["HTTP_WEBHOOK_$k"] ?? '', ['ID', 'TIMESTAMP', 'SIGNATURE']);
    $mine = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$raw", base64_decode(substr(getenv('QR_WEBHOOK_SECRET'), 6)), true));
    $good = abs(time() - (int) $at) < 300 && array_filter(explode(' ', $signatures), fn($s) => hash_equals($mine, $s));
    if ($good) file_put_contents(getenv('TOLD'), json_decode($raw, true)['type'] . ' ', FILE_APPEND);
    send($good ? 200 : 401, $good ? trim(file_get_contents(getenv('TOLD'))) : 'not signed');
}
// end

$uri = $_SERVER['REQUEST_URI'];
$path = parse_url($uri, PHP_URL_PATH);
$raw = file_get_contents('php://input', false, null, 0, 16384);
// QR login
if ($path === '/hooks') hook($raw);
// end
if ($_SERVER['REQUEST_METHOD'] !== 'GET' && !in_array($_SERVER['HTTP_SEC_FETCH_SITE'] ?? '', ['same-origin', 'none'])) send(403, 'from another site');
$body = ($_SERVER['CONTENT_TYPE'] ?? '') === 'application/json' ? json_decode($raw ?: '{}', true) : $_POST;
session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true, 'name' => 'sid', 'cache_limiter' => '']); // and cookie_secure, over https
$back = preg_match('~^/q/\w+$~i', $_GET['back'] ?? '') ? $_GET['back'] : '/';
if ($path === '/signin' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    if (($users[$body['user'] ?? ''] ?? null) !== ($body['password'] ?? '')) send(401, sign_in($back));
    begin($body['user']);
    header("Location: $back");
    send(303, '');
}
// QR login
if (preg_match('~^/(qr|sdk)/~', $path)) login($uri, $body);
if (preg_match('~^/q/\w+$~i', $path) && isset($_SESSION['user'])) phone($uri, $body);
// end
if (isset($_SESSION['user'])) send(200, page('Hello, ' . htmlspecialchars($_SESSION['user'])));
send(401, sign_in($path));
