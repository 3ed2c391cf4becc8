using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Reporting.Tests;

/// <summary>A real browser without a window, spoken to in the DevTools protocol: no package of browsers and drivers for a few
/// calls.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

    private readonly Process process;
    private readonly string profile;
    private readonly ClientWebSocket socket = new();
    private readonly byte[] buffer = new byte[1 << 16];
    private int calls;

    private Browser(Process process, string profile) => (this.process, this.profile) = (process, profile);

    /// <summary>What the pages complained of: errors on the console, exceptions, refused requests.</summary>
    public List<string> Complaints { get; } = [];

    /// <summary>Addresses that the pages asked for, their own among them.</summary>
    public List<string> Requests { get; } = [];

    /// <summary>Where the browser is; null where there is none.</summary>
    public static string? Path { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
        .SelectMany(folder => Names.Select(name => System.IO.Path.Combine(folder, name))).FirstOrDefault(File.Exists);

    /// <summary>Starts a browser, or skips the test where there is none.</summary>
    public static async Task<Browser> Start()
    {
        if (Path is null) Assert.Skip($"none of {string.Join(", ", Names)} is on the PATH");
        var profile = Directory.CreateTempSubdirectory("trainer-browser-").FullName;
        var process = Process.Start(new ProcessStartInfo(Path!,
        [
            "--headless=new", "--remote-debugging-port=0", $"--user-data-dir={profile}", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--force-color-profile=srgb", "about:blank",
        ]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        var browser = new Browser(process, profile);
        try
        {
            await browser.Connect();
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a file and waits until it is drawn.</summary>
    public async Task Open(string file, int width = 1200, int height = 900, bool mobile = false, bool dark = false)
    {
        await Call("Emulation.setDeviceMetricsOverride",
            new() { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = mobile });
        await Call("Emulation.setEmulatedMedia",
            new() { ["features"] = new JsonArray(
            new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = dark ? "dark" : "light" }) });
        await Call("Page.navigate", new() { ["url"] = new Uri(file).AbsoluteUri });
        await Until("document.readyState === 'complete' && !document.querySelector('noscript')");
        await Evaluate<bool>("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task Until(string expression)
    {
        var clock = Stopwatch.StartNew();
        while (!await Evaluate<bool>(expression))
        {
            Assert.True(clock.Elapsed.TotalSeconds < 20, $"never true: {expression}; {string.Join("; ", Complaints)}");
            await Task.Delay(30);
        }
    }

    /// <summary>The value of an expression in the page.</summary>
    public async Task<T> Evaluate<T>(string expression)
    {
        var result = await Call(
            "Runtime.evaluate", new() { ["expression"] = expression, ["returnByValue"] = true, ["awaitPromise"] = true });
        Assert.True(result["exceptionDetails"] is null, $"{expression}: {result["exceptionDetails"]?.ToJsonString()}");
        return result["result"]!["value"].Deserialize<T>()!;
    }

    /// <summary>Moves the mouse to a place within an element, given as shares of its width and height.</summary>
    public async Task Hover(string selector, double x = 0.5, double y = 0.5)
    {
        var (left, top) = await Place(selector, x, y);
        await Mouse("mouseMoved", left, top);
    }

    /// <summary>Clicks the middle of an element.</summary>
    public async Task Click(string selector)
    {
        var (left, top) = await Place(selector, 0.5, 0.5);
        foreach (var type in new[] { "mouseMoved", "mousePressed", "mouseReleased" }) await Mouse(type, left, top);
    }

    /// <summary>A picture of what is to be seen.</summary>
    public async Task<byte[]> Screenshot(bool whole = false) =>
        Convert.FromBase64String((string)(await Call("Page.captureScreenshot", new() { ["captureBeyondViewport"] = whole }))["data"]!);

    /// <summary>Calls a method of the DevTools protocol.</summary>
    public async Task<JsonObject> Call(string method, JsonObject? parameters = null)
    {
        var id = ++calls;
        var request = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] };
        await socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(request), WebSocketMessageType.Text, true, CancellationToken.None);
        while (true)
        {
            var answer = await Receive();
            if ((int?)answer["id"] == id)
                return answer["result"] as JsonObject
                    ?? throw new InvalidOperationException($"{method}: {answer["error"]?.ToJsonString()}");
            Note(answer);
        }
    }

    public async ValueTask DisposeAsync()
    {
        socket.Dispose();
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
        Directory.Delete(profile, recursive: true);
    }

    private async Task Connect()
    {
        var portFile = System.IO.Path.Combine(profile, "DevToolsActivePort");
        for (var clock = Stopwatch.StartNew(); !File.Exists(portFile) || File.ReadAllLines(portFile).Length < 2; await Task.Delay(50))
            Assert.True(clock.Elapsed.TotalSeconds < 60 && !process.HasExited, $"{Path} did not start");
        var port = File.ReadAllLines(portFile)[0];
        using HttpClient client = new();
        var targets = JsonNode.Parse(await client.GetStringAsync($"http://127.0.0.1:{port}/json/list"))!.AsArray();
        var page = targets.First(target => (string?)target!["type"] == "page")!;
        await socket.ConnectAsync(new Uri((string)page["webSocketDebuggerUrl"]!), CancellationToken.None);
        foreach (var domain in new[] { "Page", "Runtime", "Log", "Network" }) await Call($"{domain}.enable");
    }

    private async Task<(double Left, double Top)> Place(string selector, double x, double y)
    {
        var target = JsonSerializer.Serialize(selector);
        var box = await Evaluate<double[]>(
            $"(() => {{ const e = document.querySelector({target}); e.scrollIntoView({{block:'center'}}); const b = " +
            $"e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()");
        return (box[0] + box[2] * x, box[1] + box[3] * y);
    }

    private Task<JsonObject> Mouse(string type, double x, double y) => Call("Input.dispatchMouseEvent", new()
    {
        ["type"] = type, ["x"] = x, ["y"] = y, ["button"] = type == "mouseMoved" ? "none" : "left", ["clickCount"] = type == "mouseMoved"
            ? 0 : 1,
    });

    private async Task<JsonObject> Receive()
    {
        using MemoryStream message = new();
        WebSocketReceiveResult part;
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(60));
        do
        {
            part = await socket.ReceiveAsync(buffer, patience.Token);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray())!.AsObject();
    }

    private void Note(JsonObject said)
    {
        var details = said["params"];
        switch ((string?)said["method"])
        {
            case "Runtime.exceptionThrown": Complaints.Add(details!["exceptionDetails"]!.ToJsonString()); break;
            case "Runtime.consoleAPICalled" when (string?)details!["type"] is "error" or "warning" or "assert": Complaints.Add(
                details.ToJsonString()); break;
            case "Log.entryAdded" when (string?)details!["entry"]!["level"] is "error" or "warning": Complaints.Add(details.ToJsonString());
                break;
            case "Network.requestWillBeSent": Requests.Add((string)details!["request"]!["url"]!); break;
            case "Page.javascriptDialogOpening": Complaints.Add("a dialog was opened"); break;
        }
    }
}
