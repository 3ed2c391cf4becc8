using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Inference.Serving;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Mixers;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests.Serving;

/// <summary>Several adapters over one model: what each says in a mixed batch, and what is refused.</summary>
public sealed class LoadedModelAdapterTests : IDisposable
{
    private static readonly LoraOptions Everywhere = new() { Rank = 2, Alpha = 2, Targets = ["*"] };

    private static readonly Dictionary<string, LoraOptions> Kinds = new()
    {
        ["lora"] = Everywhere,
        ["dora"] = Everywhere with { WeightDecomposed = true, Dropout = 0.5 },
        ["some"] = new() { Rank = 3, Alpha = 3, RankStabilized = true, Targets = ["blocks.1.*.query", "feedForward.up"] },
    };

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    public static TheoryData<string, int?> Models => new()
    {
        { "multi-head", null }, { "multi-head", 2 * TinyCheckpoint.Context }, { "latent", null }, { "hybrid", null },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Texts_of_a_mixed_batch_are_those_of_each_adapter_alone_and_of_merged_models(string name, int? cacheTokens)
    {
        Checkpoint original = Write(name);
        NamedAdapter[] adapters = Adapters(original, name);
        using LoadedModel model = new(original, CPU, options: new() { Parallel = 5, CacheTokens = cacheTokens }, adapters: adapters);
        LoadedModel[] served = [model, .. model.Adapters];
        Assert.Equal(["tiny", .. adapters.Select(adapter => adapter.Name)], served.Select(one => one.Name));

        Random random = new(1);
        (LoadedModel Model, int[] Prompt)[] requests = [.. Enumerable.Range(0, 16).Select(
            i => (served[i % served.Length], Enumerable.Range(0, random.Next(3, 30)).Select(_ => random.Next(256)).ToArray()))];
        GeneratedText[] texts = [.. requests.Select(request => Generate(request.Model, request.Prompt))];
        List<GeneratedToken[]> mixed = [];
        foreach (GeneratedText text in texts) mixed.Add(await Tokens(text));

        foreach (LoadedModel one in served)
        {
            // Alone, and its weights merged.
            using LoadedModel alone = one.Base is null ? new(original, CPU)
                : new(original, CPU, adapters: [adapters.Single(adapter => adapter.Name == one.Name)]);
            using LoadedModel merged = new(one.Base is null ? original : Checkpoint.Open(directory.File(one.Name)), CPU);
            for (int i = 0; i < requests.Length; i++)
            {
                if (requests[i].Model != one) continue;
                Compare(await Tokens(Generate(one.Base is null ? alone : alone.Adapters[0], requests[i].Prompt)), mixed[i]);
                Compare(await Tokens(Generate(merged, requests[i].Prompt)), mixed[i]);
            }
        }
        // Each says something else to one prompt.
        List<string> said = [];
        foreach (LoadedModel one in served)
            said.Add(string.Join(' ', (await Tokens(Generate(one, [1, 2, 3]))).Select(token => token.Id)));
        Assert.Equal(served.Length, said.Distinct().Count());
    }

    [Fact]
    public void The_weights_are_in_memory_once()
    {
        Checkpoint original = Write("multi-head");
        NamedAdapter[] adapters = Adapters(original, "multi-head");
        using LoadedModel plain = new(original, CPU), model = new(original, CPU, adapters: adapters);
        Assert.All(model.Adapters, adapter => Assert.Same(model.Model, adapter.Model));
        Assert.All(model.Adapters, adapter => Assert.Same(model.Engine, adapter.Engine));
        Assert.Equal(plain.Model.parameters().Sum(weight => weight.numel()), model.Model.parameters().Sum(weight => weight.numel()));
    }

    [Fact]
    public async Task A_beginning_that_one_adapter_has_read_is_none_of_anothers()
    {
        Checkpoint original = Write("long");
        NamedAdapter[] adapters = Adapters(original, "long");
        int[] prompt = [.. Enumerable.Range(0, 200)]; // more than a shared piece
        using LoadedModel model = new(original, CPU, adapters: adapters);
        GeneratedToken[] first = await Tokens(Generate(model.Adapters[0], prompt)), second = await Tokens(Generate(model, prompt));
        using LoadedModel alone = new(original, CPU);
        Compare(await Tokens(Generate(alone, prompt)), second);
        Assert.NotEqual(first.Select(token => token.Id), second.Select(token => token.Id));
    }

    [Fact]
    public void Names_that_are_taken_or_empty_are_all_said()
    {
        Checkpoint original = Write("multi-head");
        string path = Adapters(original, "multi-head")[0].Path;
        ConfigurationException error = Assert.Throws<ConfigurationException>(() => new LoadedModel(
            original, CPU, adapters: [new("tiny", path), new("a", path), new("a", "elsewhere"), new(" ", path)]));
        Assert.Equal(3, error.Problems.Count);
        Assert.Contains($"the name 'tiny' of {path} is that of the base, too", error.Message);
        Assert.Contains($"the name 'a' of elsewhere is that of {path}, too", error.Message);
    }

    [Fact]
    public void An_adapter_that_is_none_or_goes_on_something_else_is_refused_with_the_fix()
    {
        Checkpoint original = Write("multi-head");
        Checkpoint other = TinyCheckpoint.Write(TinyCheckpoint.Decoder with { Layers = 3 }, directory.File("other"));
        string Refusal(Checkpoint with, string path) => Assert.Throws<UserException>(
            () => new LoadedModel(with, CPU, adapters: [new("x", path)])).Message;
        string lora = TinyAdapter.Write(original, directory.File("lora"), Everywhere, 1).Directory;

        Assert.Contains("holds a whole model and no adapter; serve it by itself", Refusal(original, other.Directory));
        Assert.Contains(directory.File("nowhere"), Refusal(original, directory.File("nowhere")));
        string mismatch = Refusal(other, lora);
        Assert.Contains($"its adapter goes on weights with the SHA-256 {original.WeightsSha256} ({original.Directory}), and those in " +
            $"{other.Directory} have {other.WeightsSha256}", mismatch);
        string whole = TinyAdapter.Write(original, directory.File("whole"), Everywhere with { Train = ["norm"] }, 1).Directory;
        Assert.Contains("beside low-rank updates it has norm.", Refusal(original, whole));
        Assert.Contains("convert --merge-adapter", Refusal(original, whole));

        Checkpoint experts = TinyCheckpoint.Write(
            TinyCheckpoint.Decoder with { FeedForward = new ExpertsOptions { Experts = 2, Active = 1 } }, directory.File("experts"));
        Assert.Contains("it has adapters of experts (blocks.0.feedForward.experts.gate), which rows of a batch cannot choose",
            Refusal(experts, TinyAdapter.Write(experts, directory.File("some"), Everywhere, 1).Directory));
    }

    [Fact]
    public void An_adapter_of_a_model_that_computes_otherwise_is_refused()
    {
        Checkpoint original = Write("multi-head");
        using LanguageModel model = original.LoadModel(CPU);
        model.Attach(Everywhere);
        Checkpoint stretched = Checkpoint.Write(directory.File("stretched"), original.Configuration with
        {
            Model = original.Model with { Position = new Trainer.Models.Positions.RotaryOptions { Theta = 500000 } },
        }, original.Tokenizer, model, original);
        string message = Assert.Throws<UserException>(
            () => new LoadedModel(original, CPU, adapters: [new("x", stretched.Directory)])).Message;
        Assert.Contains("computes in another way", message);
        Assert.Contains("model.position.theta is 500000 there, and 10000 in the base", message);
    }

    [Fact]
    public void An_encoder_takes_none()
    {
        Checkpoint encoder = TinyCheckpoint.Write(TinyCheckpoint.Encoder, directory.File("encoder"));
        Assert.Contains("it is an encoder", Assert.Throws<UserException>(
            () => new LoadedModel(encoder, CPU, adapters: [new("x", "y")])).Message);
    }

    private Checkpoint Write(string name) => TinyCheckpoint.Write(
        name switch
        {
            "latent" => TinyCheckpoint.Decoder with { Attention = new LatentOptions { Heads = 2, HeadDim = 16, KeyValueRank = 16 } },
            "hybrid" => TinyCheckpoint.Decoder with
            {
                LayerPattern = [new() { Mixer = new Mamba2Options { StateDim = 8, HeadDim = 8 } }, new()],
            },
            "long" => TinyCheckpoint.Decoder with { ContextLength = 300 },
            _ => TinyCheckpoint.Decoder,
        }, directory.File("base"), scale: 8);

    private NamedAdapter[] Adapters(Checkpoint original, string name) =>
    [
        .. Kinds.Where(kind => kind.Key != "some" || name is "multi-head" or "long").Select((kind, index) => new NamedAdapter(
            kind.Key, TinyAdapter.Write(original, directory.File(kind.Key), kind.Value, index).Directory)),
    ];

    private static GeneratedText Generate(LoadedModel model, int[] prompt) => model.Generate(model.Request(prompt) with
    {
        MaxTokens = 24, Sampling = new() { Greedy = true }, TopLogProbabilities = 0, StopTokens = new HashSet<int>(),
    });

    private static async Task<GeneratedToken[]> Tokens(GeneratedText text)
    {
        List<GeneratedToken> tokens = [];
        await foreach (TextPiece piece in text)
            if (piece.Token is { } token) tokens.Add(token);
        return [.. tokens];
    }

    private static void Compare(GeneratedToken[] expected, GeneratedToken[] actual)
    {
        Assert.Equal(expected.Select(token => token.Id), actual.Select(token => token.Id));
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.LogProbability, pair.Second.LogProbability, 1e-5));
    }
}
