using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>The expressions and scanners of <see cref="SplitPattern"/>.</summary>
internal static class SplitPatterns
{
    /// <summary>The expression as <c>tokenizer.json</c> has it.</summary>
    public static string Expression(this SplitPattern pattern) => pattern switch
    {
        SplitPattern.Gpt2 => Gpt2Scanner.Pattern,
        SplitPattern.Cl100k => Cl100kScanner.Llama3Pattern,
        _ => throw new ArgumentOutOfRangeException(nameof(pattern), pattern, "no such pattern"),
    };

    /// <summary>What cuts text as the expression does.</summary>
    public static Scanner Scanner(this SplitPattern pattern) => HuggingFace.Scanner.For(pattern.Expression())!;
}
