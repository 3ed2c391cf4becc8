// Tokens a second while decoding, and the bytes each token takes in the cache: one JSON object for each checkpoint.
//   dotnet run -c Release --project benchmarks/Decoding -- <batch> <remembered> <tokens> <checkpoint>…
// Sequences are decoded side by side after a prompt of so many tokens. Checkpoints take turns, five times each, so that whatever
// else the machine does falls on all of them; what is printed is the median.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models;
using static TorchSharp.torch;

const int Rounds = 5;

if (args.Length < 4 || args[..3].Any(arg => !int.TryParse(arg, CultureInfo.InvariantCulture, out var number) || number < 1))
{
    Console.Error.WriteLine("Decoding: give a batch, tokens remembered, tokens to decode (each 1 or more) and checkpoints");
    return 2;
}
int[] numbers = [.. args[..3].Select(arg => int.Parse(arg, CultureInfo.InvariantCulture))];
var (batch, remembered, count) = (numbers[0], numbers[1], numbers[2]);

var checkpoints = args[3..].Select(Checkpoint.Open).ToArray();
LanguageModel[] models = [.. checkpoints.Select(checkpoint => checkpoint.LoadModel(CPU))];
var speeds = models.Select(_ => new List<double>()).ToArray();
for (var round = 0; round <= Rounds; round++)
    for (var i = 0; i < models.Length; i++)
    {
        var speed = Measure(models[i]);
        if (round > 0) speeds[i].Add(speed);   // the first one warms up
    }

for (var i = 0; i < models.Length; i++)
    Console.WriteLine(JsonSerializer.Serialize(new
    {
        checkpoint = args[3 + i],
        tokensPerSecond = speeds[i].Order().ElementAt(Rounds / 2),
        cacheBytesPerToken = ModelCost.Of(models[i].Options, checkpoints[i].Tokenizer.VocabularySize).CacheBytesPerToken(),
        batch,
        remembered,
    }));
return 0;

double Measure(LanguageModel model)
{
    using var inference = inference_mode();
    using var scope = NewDisposeScope();
    using var state = model.NewDecodingState(batch, remembered + count);
    var token = model.NextLogits(zeros([batch, remembered], ScalarType.Int64), state).argmax(-1).unsqueeze(1);
    var start = Stopwatch.GetTimestamp();
    for (var i = 0; i < count; i++)
    {
        using var step = NewDisposeScope();
        token = model.NextLogits(token, state).argmax(-1).unsqueeze(1).MoveToOuterDisposeScope();
    }
    return batch * count / Stopwatch.GetElapsedTime(start).TotalSeconds;
}
