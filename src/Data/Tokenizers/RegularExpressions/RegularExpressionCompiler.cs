using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.RegularExpressions;

internal sealed class RegularExpressionCompiler
{
    /// <summary>Enough for any tokenizer's expression; limits counted repetitions.</summary>
    private const int MaxInstructions = 50_000;

    private readonly List<Instruction> program = [];
    private readonly Counter emitted;

    private RegularExpressionCompiler(Counter emitted) => this.emitted = emitted;

    public static Instruction[] Compile(Node node) => Compile(node, new Counter());

    private static Instruction[] Compile(Node node, Counter emitted)
    {
        var compiler = new RegularExpressionCompiler(emitted);
        compiler.Emit(node);
        compiler.Add(new Instruction(Operation.Match));
        return [.. compiler.program];
    }

    private void Emit(Node node)
    {
        switch (node)
        {
            case Node.One one:
                Add(new Instruction(Operation.One, one.Set));
                break;
            case Node.Sequence sequence:
                foreach (var part in sequence.Parts)
                    Emit(part);
                break;
            case Node.Alternation alternation:
                Emit(alternation);
                break;
            case Node.Repeat repeat:
                Emit(repeat);
                break;
            case Node.Assertion assertion:
                Add(new Instruction(Operation.Assert, First: (int)assertion.Anchor));
                break;
            case Node.Atomic atomic:
                Add(new Instruction(Operation.Atomic, Program: [Compile(atomic.Body, emitted)]));
                break;
            case Node.Look look:
                Emit(look);
                break;
        }
    }

    private void Emit(Node.Look look)
    {
        Node[] bodies = look is { Behind: true, Body: Node.Alternation alternation } ? [.. alternation.Choices] : [look.Body];
        Add(new Instruction(look.Behind ? Operation.LookBehind : Operation.LookAhead, Flag: look.Negative,
            Program: [.. bodies.Select(body => Compile(body, emitted))], Lengths: [.. bodies.Select(body => body.FixedLength)]));
    }

    private void Emit(Node.Alternation alternation)
    {
        var jumps = new List<Instruction>();
        for (var i = 0; i < alternation.Choices.Count; i++)
        {
            var last = i == alternation.Choices.Count - 1;
            var split = last ? null : Add(new Instruction(Operation.Split, First: program.Count + 1));
            Emit(alternation.Choices[i]);
            if (split is null)
                continue;
            jumps.Add(Add(new Instruction(Operation.Jump)));
            split.Second = program.Count;
        }
        foreach (var jump in jumps)
            jump.First = program.Count;
    }

    private void Emit(Node.Repeat repeat)
    {
        if (repeat is { Body: Node.One one, Mode: not RepeatMode.Lazy })
        {
            Add(new Instruction(Operation.Run, one.Set, repeat.Minimum, repeat.Maximum, Flag: repeat.Mode == RepeatMode.Possessive));
            return;
        }
        if (repeat.Mode == RepeatMode.Possessive)
        {
            Emit(new Node.Atomic(repeat with { Mode = RepeatMode.Greedy }));
            return;
        }
        for (var i = 0; i < repeat.Minimum; i++)
            Emit(repeat.Body);
        if (repeat.Maximum < 0)
            EmitLoop(repeat);
        else
            EmitOptions(repeat);
    }

    private void EmitLoop(Node.Repeat repeat)
    {
        var split = Add(new Instruction(Operation.Split));
        var start = program.Count - 1;
        Emit(repeat.Body);
        Add(new Instruction(Operation.Jump, First: start));
        Direct(split, inside: start + 1, outside: program.Count, repeat.Mode);
    }

    private void EmitOptions(Node.Repeat repeat)
    {
        var splits = new List<(Instruction Split, int Inside)>();
        for (var i = repeat.Minimum; i < repeat.Maximum; i++)
        {
            var split = Add(new Instruction(Operation.Split));
            splits.Add((split, program.Count));
            Emit(repeat.Body);
        }
        foreach (var (split, inside) in splits)
            Direct(split, inside, program.Count, repeat.Mode);
    }

    private static void Direct(Instruction split, int inside, int outside, RepeatMode mode) =>
        (split.First, split.Second) = mode == RepeatMode.Lazy ? (outside, inside) : (inside, outside);

    private Instruction Add(Instruction instruction)
    {
        if (++emitted.Value > MaxInstructions)
            throw new RegularExpressionException("its repetitions multiply to too large an expression");
        program.Add(instruction);
        return instruction;
    }

    private sealed class Counter
    {
        public int Value { get; set; }
    }
}

internal abstract record Node
{
    public sealed record One(CodePointSet Set) : Node;

    public sealed record Sequence(IReadOnlyList<Node> Parts) : Node;

    public sealed record Alternation(IReadOnlyList<Node> Choices) : Node;

    /// <summary>A maximum of −1 is unlimited.</summary>
    public sealed record Repeat(Node Body, int Minimum, int Maximum, RepeatMode Mode) : Node;

    public sealed record Look(Node Body, bool Behind, bool Negative) : Node;

    /// <summary>A group without backtracking.</summary>
    public sealed record Atomic(Node Body) : Node;

    public sealed record Assertion(Anchor Anchor) : Node;

    /// <summary>The fewest characters it matches.</summary>
    public int MinimumLength => this switch
    {
        One => 1,
        Sequence sequence => sequence.Parts.Sum(part => part.MinimumLength),
        Alternation alternation => alternation.Choices.Min(choice => choice.MinimumLength),
        Repeat repeat => (int)Math.Min(1_000_000, (long)repeat.Minimum * repeat.Body.MinimumLength),
        Atomic atomic => atomic.Body.MinimumLength,
        _ => 0,
    };

    /// <summary>The number of characters it always matches, or −1 if that varies.</summary>
    public int FixedLength => this switch
    {
        One => 1,
        Sequence sequence => sequence.Parts.Aggregate(0, (sum, part) => sum < 0 || part.FixedLength < 0 ? -1 : sum + part.FixedLength),
        Alternation alternation =>
            alternation.Choices.Select(choice => choice.FixedLength).Distinct().ToArray() is [var length] ? length : -1,
        Repeat { Body.FixedLength: var length } repeat => length >= 0 && repeat.Minimum == repeat.Maximum ? length * repeat.Minimum : -1,
        Atomic atomic => atomic.Body.FixedLength,
        _ => 0,
    };
}

internal enum RepeatMode
{
    Greedy,     // as many as possible; gives back as needed
    Lazy,       // as few as possible
    Possessive, // as many as possible; gives nothing back
}

internal enum Anchor
{
    TextStart,      // \A: start of text
    TextEnd,        // \z: end of text
    LastLineEnd,    // \Z: end of text, or before its last line feed
    LineStart,      // ^: start of text, or after a line feed
    LineEnd,        // $: end of text, or before a line feed
    WordBoundary,   // \b: between a word character and another
    NoWordBoundary, // \B: no word boundary
}

/// <summary><c>Set</c>: the characters of One and Run. <c>First</c>: the first branch; Run's minimum; Assert's anchor. <c>Second</c>: the
/// branch taken on failure; Run's maximum (−1 = none). <c>Program</c>: the bodies of lookarounds and atomic groups. <c>Flag</c>: possessive
/// Run; negative lookarounds. <c>Lengths</c>: the number of characters of each LookBehind body.</summary>
internal sealed record Instruction(
    Operation Operation, CodePointSet? Set = null, int First = 0, int Second = 0,
    Instruction[][]? Program = null, bool Flag = false, int[]? Lengths = null)
{
    public int First { get; set; } = First;

    public int Second { get; set; } = Second;
}

internal enum Operation
{
    Match,      // the expression has matched
    One,        // consumes one character of the set
    Run,        // consumes as many characters of the set as possible, up to the maximum
    Split,      // goes to First, on failure to Second
    Jump,       // goes to First
    Assert,     // continues if the anchor holds
    LookAhead,  // continues if the body matches here
    LookBehind, // continues if one of the fixed-length bodies matches up to here
    Atomic,     // consumes the body's first match
}
