namespace Trainer.Cli.Tests;

/// <summary>Every variant of a model trains and, where it can, generates through the real command line. Each row of settings stands for one
/// model; together they name every type of every part.</summary>
public sealed class VariantTests
{
    private const string MultiHead = """{"type":"multi-head","heads":4}""";

    /// <summary>Settings laid over the small recipe, as the lines of a file.</summary>
    public static TheoryData<string, string> Decoders() => new()
    {
        { "GPT-2", """ "attention": {"type":"multi-head","heads":4}, "position": {"type":"learned"}, "feedForward": {"type":"gelu-tanh"}, "norm": {"type":"layer"}, "bias": true """ },
        { "NeoX", """ "attention": {"type":"multi-head","heads":4}, "position": {"type":"rotary","fraction":0.5}, "feedForward": {"type":"gelu"}, "norm": {"type":"layer"}, "bias": true, "parallelResidual": true """ },
        { "Bloom", """ "attention": {"type":"multi-head","heads":4}, "position": {"type":"alibi"}, "embeddingNorm": true, "feedForward": {"type":"gelu"}, "norm": {"type":"layer"} """ },
        { "Gemma 2", """ "attention": {"type":"multi-query","heads":4,"softCap":50,"scale":0.3}, "logitSoftCap": 30, "scaleEmbeddings": true, "feedForward": {"type":"geglu-tanh"}, "norm": {"type":"rms","placement":"sandwich"} """ },
        { "Qwen 3", """ "attention": {"type":"grouped-query","heads":4,"keyValueHeads":2,"headDim":16,"queryKeyNorm":true,"bias":true,"outputBias":false}, "position": {"type":"rotary","scaling":{"type":"yarn","factor":2,"originalLength":16}} """ },
        { "DeepSeek", """ "attention": {"type":"latent","heads":4,"keyValueRank":16,"ropeDim":4}, "position": {"type":"rotary","layout":"interleaved"}, "feedForward": {"type":"experts","experts":4,"active":2,"shared":1,"hiddenDim":32,"router":"sigmoid","balance":{"type":"bias"}} """ },
        { "Mistral", """ "attention": {"type":"grouped-query","heads":4,"keyValueHeads":2,"pattern":{"type":"sliding","window":8,"sinks":2},"cache":"rolling"} """ },
        { "sparse strided", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"strided","stride":4},"kernel":"block-sparse","cache":"paged"}, "position": {"type":"none"} """ },
        { "sparse fixed", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"fixed","stride":8,"summary":2}}, "position": {"type":"sinusoidal"}, "feedForward": {"type":"relu2"} """ },
        { "longformer, bigbird", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"longformer","window":8,"causal":true}}, "layerPattern": [ {}, {"attention":{"pattern":{"type":"bigbird","blockSize":4,"causal":true}}} ] """ },
        { "linear", """ "attention": {"type":"multi-head","heads":4,"kernel":"linear"}, "feedForward": {"type":"silu"} """ },
        { "iRoPE", """ "attention": {"type":"multi-head","heads":4,"scalableSoftmax":true,"temperature":{"floor":8,"scale":0.1},"kernel":"reference"}, "layerPattern": [ {}, {"position":{"type":"none"}} ], "feedForward": {"type":"reglu"} """ },
        { "Switch", """ "attention": {"type":"multi-head","heads":4,"kernel":"flash"}, "feedForward": {"type":"experts","experts":4,"active":1,"hiddenDim":32,"activation":"relu","balance":{"type":"loss"},"routerZLoss":0.001} """ },
        { "hybrid", """ "mixer": {"type":"mamba2","stateDim":8,"headDim":16}, "layerPattern": [ {"mixer":{"type":"attention"}}, {} ] """ },
        { "prefix", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"prefix","prefixLength":4},"cache":"paged"} """ },
        { "scaled llama3", """ "position": {"type":"rotary","scaling":{"type":"llama3","factor":4,"originalLength":16}}, "feedForward": {"type":"geglu"} """ },
        { "scaled by parts", """ "position": {"type":"rotary","scaling":{"type":"ntk-by-parts","factor":2,"originalLength":16}}, "feedForward": {"type":"glu"} """ },
        { "scaled linear", """ "position": {"type":"rotary","scaling":{"type":"linear","factor":2,"originalLength":16}}, "feedForward": {"type":"relu"} """ },
        { "scaled ntk", """ "position": {"type":"rotary","scaling":{"type":"ntk","factor":2,"originalLength":16}}, "norm": {"type":"rms","placement":"post"} """ },
        { "scaled dynamically", """ "position": {"type":"rotary","scaling":{"type":"dynamic-ntk","originalLength":32}} """ },
    };

    /// <summary>Encoders and encoder-decoders.</summary>
    public static TheoryData<string, string> Others() => new()
    {
        { "encoder", """ "position": {"type":"learned"}, "norm": {"type":"layer","placement":"post"}, "bias": true, "headBias": true, "headTransform": true, "embeddingNorm": true """ },
        { "encoder", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"longformer","window":4}}, "position": {"type":"t5"} """ },
        { "encoder", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"bigbird","blockSize":4}}, "layerPattern": [ {}, {"attention":{"pattern":{"type":"prefix","prefixLength":4}}} ] """ },
        { "encoder", """ "attention": {"type":"multi-head","heads":4,"pattern":{"type":"sliding","window":4,"causal":false}}, "position": {"type":"alibi"} """ },
        { "encoder-decoder", """ "position": {"type":"sinusoidal"}, "scaleEmbeddings": true, "feedForward": {"type":"relu"}, "norm": {"type":"layer","placement":"post"}, "bias": true """ },
        { "encoder-decoder", """ "attention": {"type":"multi-head","heads":4,"scale":1}, "position": {"type":"t5"}, "logitScale": 0.2, "feedForward": {"type":"geglu-tanh"}, "encoderLayers": 1 """ },
        { "encoder-decoder", """ "attention": {"type":"grouped-query","heads":4,"keyValueHeads":2}, "encoderPattern": {"type":"sliding","window":6,"causal":false}, "norm": {"type":"rms","placement":"sandwich"} """ },
    };

    [Theory]
    [MemberData(nameof(Decoders))]
    public void A_decoder_trains_and_generates(string name, string model)
    {
        using var workspace = new Workspace();
        Train(workspace, $$""" { "extends": "small.json", "model": { "dropout": 0, {{model}} }, {{Steps}} } """, name);
        var generated = workspace.Run("generate", "runs/small", "--prompt", "the ", "--tokens", "40", "--beams", "2");
        Assert.True(generated.ExitCode == 0, $"{name}: {generated.Error}");
        Assert.StartsWith("the ", generated.Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Others))]
    public void An_encoder_or_encoder_decoder_trains_and_is_measured(string architecture, string model)
    {
        using var workspace = new Workspace();
        File.WriteAllLines(workspace.PathOf("source.txt"), Workspace.Words(300).Chunk(40).Select(chars => new string(chars)));
        File.WriteAllLines(
            workspace.PathOf("target.txt"), Workspace.Words(300).Chunk(40).Select(chars => new string([.. chars.Reverse()])));
        var data = architecture == "encoder"
            ? """ "data": { "train": [ { "path": "text.txt" } ], "validationFraction": 0.2, "objective": "masked" } """
            : """ "data": { "train": [ { "path": "source.txt", "targetPath": "target.txt" } ], "validationFraction": 0.3, "objective": "sequence-to-sequence" } """;
        Train(workspace, $$"""
            { "extends": "small.json", {{data}}, "monitoring": { "samples": [] },
              "tokenizer": { "type": "bpe", "vocabularySize": 280, "specialTokens": [ "<s>", "</s>", "[MASK]" ] },
              "model": { "architecture": "{{architecture}}", "dropout": 0.1, "attention": {{MultiHead}}, {{model}} }, {{Steps}} }
            """, architecture);
        string[] translating = architecture == "encoder-decoder" ? ["--translate", "2"] : [];
        var measured = workspace.Run(["evaluate", "runs/small", .. translating]);
        Assert.True(measured.ExitCode == 0, measured.Error);
        Assert.Contains("perplexity", measured.Output, StringComparison.Ordinal);
        if (architecture == "encoder-decoder") Assert.Contains("BLEU|nrefs:1", measured.Output, StringComparison.Ordinal);
    }

    private const string Steps = """ "training": { "steps": 3 }, "evaluation": { "every": 0 }, "checkpoint": { "every": 0 } """;

    private static void Train(Workspace workspace, string recipe, string name)
    {
        File.WriteAllText(workspace.PathOf("variant.json"), WithoutRepeats(recipe));
        var trained = workspace.Run("train", "variant.json");
        Assert.True(trained.ExitCode == 0, $"{name}: {trained.Error}");
        Assert.Contains("3 steps", trained.Error + trained.Output, StringComparison.Ordinal);
    }

    // A row may say attention itself, which is otherwise multi-head: the last one counts, and a file may say it once only.
    private static string WithoutRepeats(string recipe) =>
        recipe.Split($"\"attention\": {MultiHead}, ") is [var before, var after]
            && after.Contains("\"attention\"", StringComparison.Ordinal) ? before + after : recipe;
}
