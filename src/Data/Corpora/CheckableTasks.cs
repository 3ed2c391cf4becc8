using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Calculates with two numbers: <c>12+34=</c> → <c>46</c>. Reversed answers put the digit that is known first in front (Lee et al.
/// 2023, arXiv 2307.03381).</summary>
[Description("Two numbers are added, subtracted or multiplied: 12+34= → 46.")]
public sealed record ArithmeticTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Digits of the longest number.</summary>
    [Description("Digits of the longest number.")]
    [Range(1, 9)]
    public int Digits { get; init; } = 2;

    /// <summary>Digits of the shortest number; <see cref="Digits"/> when absent.</summary>
    [Description("Digits of the shortest number; all lengths up to the longest are equally likely. When absent, all numbers are of one "
        + "length.")]
    [Range(1, 9)]
    public int? MinimumDigits { get; init; }

    /// <summary>What is calculated; each as often.</summary>
    [Description("What is calculated, each as often: add (+), subtract (-, the smaller from the larger), multiply (*).")]
    public IReadOnlyList<ArithmeticOperation> Operations { get; init; } = [ArithmeticOperation.Add];

    /// <summary>Whether the answer's digits are in reverse order.</summary>
    [Description("Whether answers are written with their last digit first.")]
    public bool Reversed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() =>
    [
        .. SyntheticAlphabet.Order("minimumDigits", MinimumDigits, "digits", Digits),
        .. SyntheticAlphabet.Choices("operations", Operations),
    ];

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var operation = Operations[random.Next(Operations.Count)];
        var (a, b) = (Number(ref random), Number(ref random));
        if (operation == ArithmeticOperation.Subtract && a < b)
            (a, b) = (b, a);
        var (sign, result) = operation switch
        {
            ArithmeticOperation.Subtract => ('-', a - b),
            ArithmeticOperation.Multiply => ('*', a * b),
            _ => ('+', a + b),
        };
        var answer = result.ToString(CultureInfo.InvariantCulture);
        return new SyntheticExample(
            string.Create(CultureInfo.InvariantCulture, $"{a}{sign}{b}="), Reversed ? new string([.. answer.Reverse()]) : answer);
    }

    // Without leading zeros.
    private long Number(ref RandomSequence random)
    {
        var digits = SyntheticAlphabet.Between(ref random, MinimumDigits, Digits);
        var (least, end) = digits == 1 ? (0, 10) : ((int)Math.Pow(10, digits - 1), (int)Math.Pow(10, digits));
        return least + random.Next(end - least);
    }
}

/// <summary>What is calculated with two numbers.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ArithmeticOperation>))]
public enum ArithmeticOperation
{
    /// <summary>Their sum.</summary>
    [JsonStringEnumMemberName("add")]
    Add,

    /// <summary>The larger one minus the smaller.</summary>
    [JsonStringEnumMemberName("subtract")]
    Subtract,

    /// <summary>Their product.</summary>
    [JsonStringEnumMemberName("multiply")]
    Multiply,
}

/// <summary>Rewrites a word by a rule that is named before it: <c>sort qwe|</c> → <c>eqw</c>.</summary>
[Description("A word is rewritten by a rule that is named before it: sort qwe| → eqw.")]
public sealed record RewriteTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Letters of the longest word.</summary>
    [Description("Letters of the longest word.")]
    [Range(1, 1_000_000)]
    public int Length { get; init; } = 6;

    /// <summary>Letters of the shortest word; <see cref="Length"/> when absent.</summary>
    [Description("Letters of the shortest word; all lengths up to the longest are equally likely. When absent, all words are of one "
        + "length.")]
    [Range(1, 1_000_000)]
    public int? MinimumLength { get; init; }

    /// <summary>Number of distinct letters.</summary>
    [Description("How many different letters there are, from a on.")]
    [Range(2, 26)]
    public int Symbols { get; init; } = 26;

    /// <summary>The rules; each as often.</summary>
    [Description("The rules, each as often: upper (capital letters), reverse (backwards), sort (in the order of the alphabet).")]
    public IReadOnlyList<RewriteRule> Rules { get; init; } = [RewriteRule.Upper, RewriteRule.Reverse, RewriteRule.Sort];

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() =>
        [.. SyntheticAlphabet.Order("minimumLength", MinimumLength, "length", Length), .. SyntheticAlphabet.Choices("rules", Rules)];

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var rule = Rules[random.Next(Rules.Count)];
        var word = SyntheticAlphabet.Draw(ref random, SyntheticAlphabet.Between(ref random, MinimumLength, Length), Symbols);
        var (name, answer) = rule switch
        {
            RewriteRule.Reverse => ("reverse", new string([.. word.Reverse()])),
            RewriteRule.Sort => ("sort", new string([.. word.Order()])),
            _ => ("upper", word.ToUpperInvariant()),
        };
        return new SyntheticExample($"{name} {word}{Separator}", answer);
    }
}

/// <summary>How a word is rewritten.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RewriteRule>))]
public enum RewriteRule
{
    /// <summary>In capital letters.</summary>
    [JsonStringEnumMemberName("upper")]
    Upper,

    /// <summary>Backwards.</summary>
    [JsonStringEnumMemberName("reverse")]
    Reverse,

    /// <summary>Its letters in the order of the alphabet.</summary>
    [JsonStringEnumMemberName("sort")]
    Sort,
}
