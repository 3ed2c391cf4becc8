using Trainer.Inference.Paging;
using Trainer.Models;

namespace Trainer.Inference.Tests.Paging;

/// <summary>Sequences that share keys and values, or were interrupted, have the logits that they have alone.</summary>
public sealed class PagedDecodingTests
{
    private const int Vocabulary = 23, Context = 460, Piece = PromptReading.Piece;

    public static TheoryData<string, int, int> Prompts() =>
    [
        .. from name in (string[])["gpt", "llama", "gemma", "bloom", "mistral", "sinks", "alibi in a window", "sharpened softmax"]
           from lengths in ((int, int)[])[(Piece + 1, 1), (300, 20), (290, 100), (2 * Piece, 150)]
           select (name, lengths.Item1, lengths.Item2),
    ];

    [Theory]
    [MemberData(nameof(Prompts))]
    public void A_prompt_with_a_known_beginning_has_the_bits_it_has_alone(string name, int common, int own)
    {
        using LanguageModel model = Build(name);
        int[] beginning = Ids(common, 1), first = [.. beginning, .. Ids(30, 2)], second = [.. beginning, .. Ids(own, 3)];
        using CpuDecoder decoder = new(model, 2, Context, sharesPrefixes: true), alone = new(model, 1, Context);
        decoder.Add(first);
        decoder.Next([1]);
        Assert.True(decoder.TryAdd(second, []));
        Assert.Equal(common / Piece * Piece, decoder.SharedTokens);
        Assert.Equal(alone.Begin(second).ToArray(), ReadAll(decoder));
        for (int step = 0; step < 20; step++)
            Assert.Equal(alone.Next([step]), decoder.Next([5, step]).Slice(Vocabulary));
    }

    public static TheoryData<string> Names() => [.. CpuDecoderTests.Taken.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_prompt_of_several_pieces_has_the_model_s_logits(string name)
    {
        using LanguageModel model = Build(name);
        int[] text = Ids(2 * Piece + 60, 1);
        List<float[]> expected = CpuDecoderTests.Whole(model, text);
        using CpuDecoder decoder = new(model, 1, Context);
        CpuDecoderTests.Close(expected[^21], decoder.Begin(text[..^20]), 1e-5, "the prompt");
        for (int left = 20; left > 0; left--) CpuDecoderTests.Close(expected[^left], decoder.Next([text[^left]]), 1e-5, $"{left} from the end");
    }

    [Fact]
    public void A_beginning_is_known_after_its_sequence_has_ended()
    {
        using LanguageModel model = Build("llama");
        using CpuDecoder decoder = new(model, 1, Context, sharesPrefixes: true);
        int[] prompt = Ids(2 * Piece + 10, 1);
        float[] logits = decoder.Begin(prompt).ToArray();
        decoder.Reorder([]);
        Assert.True(decoder.TryAdd(prompt, []));
        Assert.Equal(2 * Piece, decoder.SharedTokens);
        Assert.Equal(logits, ReadAll(decoder));
        decoder.Reorder([]);
        Assert.True(decoder.TryAdd([.. prompt[..Piece], .. Ids(Piece, 2)], []));
        Assert.Equal(Piece, decoder.SharedTokens);
        decoder.StopReading();
        Assert.True(decoder.TryAdd(prompt[1..], []));
        Assert.Equal(0, decoder.SharedTokens);
    }

    [Theory]
    [InlineData("llama", 3)]
    [InlineData("gpt", 40)]
    [InlineData("gpt", 200)]
    [InlineData("sinks", 200)]
    [InlineData("mistral", 2 * Piece)]
    public void A_sequence_that_was_interrupted_goes_on_with_the_bits_of_one_that_was_not(string name, int length)
    {
        using LanguageModel model = Build(name);
        int[] prompt = Ids(length, 1), generated = Ids(150, 2);
        using CpuDecoder alone = new(model, 1, Context), decoder = new(model, 1, Context, sharesPrefixes: true);
        alone.Begin(prompt);
        float[] expected = [];
        foreach (int token in generated) expected = alone.Next([token]).ToArray();
        Assert.True(decoder.TryAdd(prompt, generated));
        Assert.Equal(expected, ReadAll(decoder));
        Assert.Equal(alone.Next([7]), decoder.Next([7]));
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("mistral")]
    [InlineData("sharpened softmax")] // layers with and without a window
    public void Where_memory_is_full_a_sequence_waits_and_known_beginnings_make_room(string name)
    {
        using LanguageModel model = Build(name);
        bool windowed = name == "mistral"; // windows always have room
        using CpuDecoder decoder = new(model, 4, Context, sharesPrefixes: true, positions: Context);
        decoder.Add(Ids(200, 1));
        decoder.Add(Ids(200, 2));
        Assert.Equal(windowed, decoder.TryAdd(Ids(100, 3), []));
        decoder.StopReading();
        while (decoder.TryReserveNext() && !windowed) decoder.Next([1, 2]);
        decoder.Reorder([1]);
        Assert.True(decoder.TryReserveNext()); // what is known of the first one goes
        float[] logits = decoder.Next([2]).ToArray();
        decoder.Reorder([]);
        for (int again = 0; again < 5; again++)
        {
            decoder.Add(Ids(Context - 1, 10 + again));
            Assert.True(decoder.TryReserveNext());
            decoder.Next([1]);
            decoder.Reorder([]);
        }
        Assert.All(logits, logit => Assert.True(float.IsFinite(logit)));
    }

    [Fact]
    public void A_failure_while_a_prompt_is_read_leaves_the_others_as_they_are()
    {
        using LanguageModel model = Build("llama");
        using CpuDecoder decoder = new(model, 2, Context), alone = new(model, 1, Context);
        decoder.Add(Ids(10, 1));
        alone.Add(Ids(10, 1));
        Assert.ThrowsAny<Exception>(() => { decoder.Add([1, 2, Vocabulary]); });
        Assert.ThrowsAny<Exception>(() => { decoder.Add([.. Ids(100, 1), Vocabulary]); });
        Assert.Equal(alone.Next([3]), decoder.Next([3]));
    }

    private static float[] ReadAll(CpuDecoder decoder)
    {
        ReadOnlySpan<float> logits;
        while ((logits = decoder.Read()).IsEmpty) { }
        return logits.ToArray();
    }

    private static LanguageModel Build(string name) => CpuDecoderTests.Build(CpuDecoderTests.Taken[name] with { ContextLength = Context });

    private static int[] Ids(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }
}
