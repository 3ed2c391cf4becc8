using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

/// <summary>What the decoder of an encoder-decoder begins with comes in, and goes out again.</summary>
public sealed class DecoderStartTests : IDisposable
{
    /// <summary>BART's special tokens, and where its tokenizer puts them.</summary>
    private const string Words = """
        {
          "added_tokens": [
            {"id": 0, "content": "<s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false},
            {"id": 1, "content": "<pad>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false},
            {"id": 2, "content": "</s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false}
          ],
          "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
          "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true,
            "add_prefix_space": false},
          "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "cat": 5}}
        }
        """;

    private readonly TemporaryFolder folder = new();
    private readonly string theirs;

    public DecoderStartTests()
    {
        theirs = folder.Copy("bart");
        File.WriteAllText(Path.Combine(theirs, "tokenizer.json"), Words);
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void BART_comes_in_with_its_tokens_and_goes_out_with_them()
    {
        FixtureEdits.Set(theirs, "forced_bos_token_id", 0);
        Checkpoint ours = Import();
        Assert.Equal(("</s>", "<s>"), (ours.Configuration.Data.DecoderStartToken, ours.Configuration.Data.ForcedBosToken));
        SequenceTokens special = ours.SequenceTokens!;
        int[] text = ours.Tokenizer.Encode("a cat");
        Assert.Equal([2, 0], special.Prompt);
        Assert.Equal(ours.Tokenizer.EncodeWithSpecialTokens("a cat"), special.Source(text));
        Assert.Equal([2, 0, 4, 5, 2], special.Target(text)); // labels shifted right behind decoder_start_token_id

        string output = folder.PathOf("back");
        Assert.Equal("bart", CheckpointExport.HuggingFace(ours, output, ScalarType.Float32, ShardSize.Default));
        Assert.Equal("2 2 0", Ids(output));
    }

    [Theory]
    [InlineData(null, "<s>")]
    [InlineData("""{ "eos_token_id": 2 }""", null)]
    [InlineData("""{ "forced_bos_token_id": null }""", null)]
    [InlineData("""{ "forced_bos_token_id": 4 }""", "a")]
    public void A_token_is_forced_by_config_json_only_where_there_is_no_generation_config(string? generation, string? expected)
    {
        FixtureEdits.Set(theirs, "forced_bos_token_id", 0);
        if (generation is not null) File.WriteAllText(Path.Combine(theirs, "generation_config.json"), generation);
        DataOptions data = Import().Configuration.Data;
        Assert.Equal(("</s>", expected), (data.DecoderStartToken, data.ForcedBosToken));
    }

    [Theory]
    [InlineData(true, "<s>")]
    [InlineData(false, null)]
    public void The_first_files_of_BART_force_a_token_by_a_flag(bool flag, string? expected)
    {
        FixtureEdits.Set(theirs, "forced_bos_token_id", null);
        FixtureEdits.Set(theirs, "force_bos_token_to_be_generated", flag);
        Assert.Equal(expected, Import().Configuration.Data.ForcedBosToken);
    }

    [Fact]
    public void A_start_token_of_generation_config_comes_before_that_of_config_json()
    {
        File.WriteAllText(Path.Combine(theirs, "generation_config.json"), """{ "decoder_start_token_id": 1 }""");
        Assert.Equal("<pad>", Import().Configuration.Data.DecoderStartToken);
    }

    [Fact]
    public void Without_a_start_token_the_tokenizer_s_usual_ones_stand_around_texts()
    {
        FixtureEdits.Set(theirs, "decoder_start_token_id", null);
        Checkpoint ours = Import();
        Assert.Null(ours.Configuration.Data.DecoderStartToken);
        Assert.Equal(new SequenceTokens(0, 2), ours.SequenceTokens);
    }

    [Fact]
    public void An_id_that_is_no_token_is_left_aside_and_said_to_be()
    {
        FixtureEdits.Set(theirs, "decoder_start_token_id", 39);
        List<string> warnings = [];
        HuggingFaceImport.Run(theirs, folder.PathOf("ours"), warnings.Add);
        Assert.Contains($"{theirs}: decoder_start_token_id is 39, which is no token of its tokenizer.json, so it is left aside", warnings);
        Assert.Null(Checkpoint.Open(folder.PathOf("ours")).Configuration.Data.DecoderStartToken);
    }

    [Theory]
    [InlineData(true, false, null, "2 2 0")] // as it came
    [InlineData(true, true, null, "0 0 -")] // a run begins with <s> unless its recipe says otherwise
    [InlineData(true, true, "<pad>", "1 1 -")]
    [InlineData(false, true, null, "0 0 -")]
    [InlineData(false, true, "</s>", "2 2 -")]
    [InlineData(false, false, null, "0 0 -")]
    public void An_export_says_what_the_decoder_was_trained_to_begin_with(bool imported, bool trained, string? named, string expected)
    {
        FixtureEdits.Set(theirs, "forced_bos_token_id", 0);
        string native = folder.PathOf("ours.safetensors"), output = folder.PathOf("out");
        using HuggingFaceImport import = HuggingFaceImport.Open(theirs, _ => { });
        Safetensors.Write(native, import.Weights);
        using WeightFiles weights = WeightFiles.OpenFile(native);
        IReadOnlyDictionary<string, JsonObject> companions = imported ? import.Companions : new Dictionary<string, JsonObject>();
        HuggingFaceExport.Write(
            new("bart", import.Options, import.Tokenizer, weights, companions)
            {
                Data = new() { Train = [], Objective = DataObjective.SequenceToSequence, DecoderStartToken = named },
                Origin = trained ? new([], State) : null,
            }, output, ScalarType.Float32);
        Assert.Equal(expected, Ids(output));
        Assert.Equal(2, (int)Read(output, "generation_config.json")["eos_token_id"]!);
    }

    private static CheckpointState State => new()
    {
        Step = 1, Tokens = 1, Position = new(0, 0), DataFingerprint = "", Random = new([], null),
    };

    private Checkpoint Import()
    {
        string ours = folder.PathOf("ours");
        HuggingFaceImport.Run(theirs, ours, _ => { });
        return Checkpoint.Open(ours);
    }

    /// <summary>The start token of both files, and the forced one.</summary>
    private static string Ids(string directory)
    {
        JsonNode generation = Read(directory, "generation_config.json");
        JsonNode?[] ids =
        [
            Read(directory, "config.json")["decoder_start_token_id"], generation["decoder_start_token_id"],
            generation["forced_bos_token_id"],
        ];
        return string.Join(' ', ids.Select(id => id?.ToJsonString() ?? "-"));
    }

    private static JsonNode Read(string directory, string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(directory, file)))!;
}
