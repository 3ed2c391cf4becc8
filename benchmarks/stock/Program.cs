// nanoGPT as a user of TorchSharp alone writes it: its layers, its AdamW, libtorch as NuGet has it. A peer in stock.py. Prints one
// JSON object.
//   Stock train    [--bytes <text>] --layers --heads --dim --context --batch --vocabulary --steps --warmup [--precision …]
//   Stock generate --layers --heads --dim --context --vocabulary --prompt --tokens --seconds [--precision float32|bfloat16|mixed]
// Without a text its ids are random, which makes no difference to speed. Threads: --threads, else OMP_NUM_THREADS, else all processors.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Stock;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

var options = new Dictionary<string, string>
{
    ["layers"] = "4", ["heads"] = "4", ["dim"] = "128", ["context"] = "64", ["batch"] = "12", ["vocabulary"] = "256",
    ["precision"] = "float32", ["threads"] = "0", ["bytes"] = "", ["steps"] = "300", ["warmup"] = "20",
    ["prompt"] = "16", ["tokens"] = "0", ["seconds"] = "5",
};
var isUnderstood = args.Length % 2 == 1 && args[0] is "train" or "generate";
for (var i = 1; isUnderstood && i < args.Length; i += 2)
{
    isUnderstood = args[i].StartsWith("--", StringComparison.Ordinal) && options.ContainsKey(args[i][2..]);
    if (isUnderstood) options[args[i][2..]] = args[i + 1];
}
if (!isUnderstood || !Enum.TryParse<Precision>(options["precision"], ignoreCase: true, out var precision))
{
    Console.Error.WriteLine($"usage: Stock train|generate with values of --{string.Join(" --", options.Keys)}");
    return 2;
}

var shape = new GptShape(Number("layers"), Number("heads"), Number("dim"), Number("context"), Number("vocabulary"));
var threads = Number("threads");
if (threads == 0 && Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is not { Length: > 0 }) threads = Environment.ProcessorCount;
if (threads > 0) set_num_threads(threads);
random.manual_seed(1337);
using var model = new Gpt(shape, precision);
if (args[0] == "train") Train();
else Generate();
return 0;

int Number(string name) => int.Parse(options[name], CultureInfo.InvariantCulture);

void Print(object figures) => Console.WriteLine(JsonSerializer.Serialize(figures));

long PeakMiB() => Process.GetCurrentProcess().PeakWorkingSet64 >> 20;

void Train()
{
    var draw = new Random(1337);
    int[] data = options["bytes"] is { Length: > 0 } path
        ? [.. File.ReadAllBytes(path).Select(value => (int)value)]
        : [.. Enumerable.Range(0, 400_000).Select(_ => draw.Next(shape.Vocabulary))];
    var (batch, warmup, total) = (Number("batch"), Number("warmup"), Number("warmup") + Number("steps"));
    var matrices = model.parameters().Where(parameter => parameter.dim() >= 2).ToArray();
    var vectors = model.parameters().Where(parameter => parameter.dim() < 2).ToArray();
    AdamW.ParamGroup[] groups = [new(matrices, beta2: 0.99, weight_decay: 0.1), new(vectors, beta2: 0.99)];
    using var optimizer = optim.AdamW(groups);
    var (times, losses) = (new List<double>(), new List<float>());
    for (var step = 0; step < total; step++)
    {
        var start = Stopwatch.GetTimestamp();
        using var scope = NewDisposeScope();
        foreach (var group in groups) group.LearningRate = Rate(step, total);
        var (x, y) = Batch(data, batch, draw);
        var loss = F.cross_entropy(model.forward(x).view(-1, shape.Vocabulary), y.view(-1));
        loss.backward();
        nn.utils.clip_grad_norm_(model.parameters(), 1.0);
        optimizer.step();
        optimizer.zero_grad();
        if (step % 10 == 0) losses.Add(loss.item<float>());
        if (step >= warmup) times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
    Print(new
    {
        tokensPerSecond = (double)batch * shape.Context * times.Count / times.Sum(),
        medianStepSeconds = times.Order().ElementAt(times.Count / 2),
        losses,
        peakMemoryMiB = PeakMiB(),
        parameters = model.parameters().Sum(parameter => parameter.numel()),
        threads = get_num_threads(),
    });
}

// Ids and those that follow them, (B, T) each.
(Tensor X, Tensor Y) Batch(int[] data, int batch, Random draw)
{
    var (x, y) = (new long[batch * shape.Context], new long[batch * shape.Context]);
    for (var row = 0; row < batch; row++)
    {
        var start = draw.Next(data.Length - shape.Context);
        for (var i = 0; i < shape.Context; i++)
            (x[row * shape.Context + i], y[row * shape.Context + i]) = (data[start + i], data[start + i + 1]);
    }
    return (tensor(x, batch, shape.Context), tensor(y, batch, shape.Context));
}

static double Rate(int step, int total) =>
    step < 100 ? 1e-3 * step / 100 : 1e-4 + 0.5 * (1 + Math.Cos(Math.PI * (step - 100) / Math.Max(1, total - 100))) * 9e-4;

// One sequence, greedily, from a prompt to the end of the context or by so many tokens. The first text warms up.
void Generate()
{
    using var inference = inference_mode();
    model.eval();
    var prompt = Number("prompt");
    var count = Number("tokens") > 0 ? Number("tokens") : shape.Context - prompt;
    using var ids = randint(shape.Vocabulary, [1, prompt]);
    OneText(ids, count);
    var (watch, tokens) = (Stopwatch.StartNew(), 0L);
    do tokens += OneText(ids, count); while (watch.Elapsed.TotalSeconds < Number("seconds"));
    Print(new
    {
        tokensPerSecond = tokens / watch.Elapsed.TotalSeconds,
        tokens = count,
        peakMemoryMiB = PeakMiB(),
        threads = get_num_threads(),
    });
}

int OneText(Tensor prompt, int count)
{
    using var cache = new KeyValueCache(shape.Layers);
    using var all = NewDisposeScope();
    var (token, text) = (prompt, new List<long>());
    while (text.Count < count)
    {
        using var scope = NewDisposeScope();
        token = model.NextLogits(token, cache).argmax(-1, keepdim: true).MoveToOuterDisposeScope(); // (1, 1)
        text.Add(token.item<long>());
    }
    return text.Count;
}
