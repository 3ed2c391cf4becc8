namespace Trainer.Data.HuggingFace;

/// <summary>Turns a parsed expression into instructions.</summary>
internal sealed class Compiler
{
    /// <summary>Enough for any tokenizer's expression, and a limit on what counted repetitions can grow to.</summary>
    private const int MostInstructions = 50_000;

    private readonly List<Instruction> program = [];
    private readonly Counter emitted;

    private Compiler(Counter emitted) => this.emitted = emitted;

    public static Instruction[] Compile(Node node) => Compile(node, new Counter());

    private static Instruction[] Compile(Node node, Counter emitted)
    {
        var compiler = new Compiler(emitted);
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
        if (++emitted.Value > MostInstructions)
            throw new RegularExpressionException("its repetitions multiply to too large an expression");
        program.Add(instruction);
        return instruction;
    }

    private sealed class Counter
    {
        public int Value { get; set; }
    }
}
