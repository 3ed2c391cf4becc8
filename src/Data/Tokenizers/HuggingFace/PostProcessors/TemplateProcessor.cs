namespace Trainer.Data.HuggingFace;

/// <summary>Special tokens and sequences in the order of a template.</summary>
internal sealed class TemplateProcessor(IReadOnlyList<TemplateItem> single, IReadOnlyList<TemplateItem> pair) : PostProcessor
{
    public override TextFrame Frame => new(Tokens(single.TakeWhile(item => item.Sequence < 0)), Tokens(single.Reverse().TakeWhile(item => item.Sequence < 0).Reverse()));

    public override int[] Apply(int[] first, int[]? second)
    {
        var result = new List<int>(first.Length + (second?.Length ?? 0) + 4);
        foreach (var item in second is null ? single : pair)
            result.AddRange(item.Sequence switch
            {
                0 => first,
                1 => second ?? [],
                _ => item.Ids,
            });
        return [.. result];
    }

    private static int[] Tokens(IEnumerable<TemplateItem> items) => [.. items.SelectMany(item => item.Ids)];
}

/// <summary>One item of a template: the first (0) or second (1) sequence, or special tokens (−1).</summary>
internal sealed record TemplateItem(int Sequence, int[] Ids)
{
    public static TemplateItem First { get; } = new(0, []);

    public static TemplateItem Second { get; } = new(1, []);

    public static TemplateItem Special(params int[] ids) => new(-1, ids);
}
