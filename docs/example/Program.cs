// Trains a small model on a text that it makes, continues a text with it, serves it, and asks the server. Takes some seconds on a CPU.
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Serving;
using Trainer.Training;
using Trainer.Training.Optimizers;

string folder = args is [var given] ? given : Directory.CreateTempSubdirectory("trainer-example-").FullName;
string corpus = Path.Combine(folder, "counting.txt"), run = Path.Combine(folder, "run");
Directory.CreateDirectory(folder);
File.WriteAllLines(corpus, Enumerable.Range(0, 2000).Select(number => $"after {number} comes {number + 1}."));

Recipe recipe = new()
{
    Name = "counting",
    Model = new DecoderOptions
    {
        Dim = 64, Layers = 2, ContextLength = 64, Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
    },
    Tokenizer = new ByteTokenizerOptions(),
    Data = new() { Train = [new() { Path = corpus }] },
    Training = new() { Steps = 20, BatchSize = 16 },
    Optimizer = new AdamWOptions { LearningRate = 1e-2 },
    Schedule = new CosineSchedule { WarmupSteps = 5 },
};
TrainingResult result = TrainingSession.Run(new TrainingRequest(recipe, run, DatasetsDirectory: Path.Combine(folder, "datasets")));
Console.WriteLine($"trained {result.Step} steps to a validation loss of {result.BestLoss:F2}");

using (TextGenerator generator = TextGenerator.Open(run))
    Console.WriteLine("generated: after 7" + generator.Generate("after 7", new() { Tokens = 20 }).ReplaceLineEndings(" "));

await using ModelServer server = await ModelServer.StartAsync(run, options: new() { Port = 0 });
Console.WriteLine($"serving {server.ModelId} at {server.Address}");
using HttpClient client = new() { BaseAddress = server.Address };
HttpResponseMessage answer = await client.PostAsJsonAsync("/v1/completions", new { prompt = "after 7", max_tokens = 20 });
JsonNode completion = (await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonNode>())!;
Console.WriteLine($"served {completion["usage"]!["completion_tokens"]} tokens");
