"""The 128 General MIDI programs by the names that a prompt would call them."""

NAMES = """
    acoustic piano, bright piano, electric grand piano, honky-tonk piano,
    electric piano, FM electric piano, harpsichord, clavinet,
    celesta, glockenspiel, music box, vibraphone, marimba, xylophone, tubular bells, dulcimer,
    drawbar organ, percussive organ, rock organ, church organ,
    reed organ, accordion, harmonica, bandoneon,
    nylon guitar, steel guitar, jazz guitar, clean electric guitar,
    muted electric guitar, overdriven guitar, distorted guitar, guitar harmonics,
    acoustic bass, fingered bass, picked bass, fretless bass,
    slap bass, popped bass, synth bass, rubber synth bass,
    violin, viola, cello, contrabass, tremolo strings, pizzicato strings, harp, timpani,
    strings, slow strings, synth strings, soft synth strings,
    choir, voice oohs, synth voice, orchestra hit,
    trumpet, trombone, tuba, muted trumpet, French horns, brass, synth brass, soft synth brass,
    soprano sax, alto sax, tenor sax, baritone sax, oboe, English horn, bassoon, clarinet,
    piccolo, flute, recorder, pan flute, blown bottle, shakuhachi, whistle, ocarina,
    square lead, sawtooth lead, calliope lead, chiff lead,
    charang lead, voice lead, fifths lead, bass lead,
    new age pad, warm pad, polysynth pad, choir pad, bowed pad, metallic pad, halo pad, sweep pad,
    rain synth, soundtrack synth, crystal synth, atmosphere synth,
    brightness synth, goblin synth, echo synth, sci-fi synth,
    sitar, banjo, shamisen, koto, kalimba, bagpipe, fiddle, shanai,
    tinkle bell, agogo, steel drums, woodblock, taiko, melodic tom, synth drum, reverse cymbal,
    fret noise, breath noise, seashore, bird song, telephone ring, helicopter, applause, gunshot
"""

PROGRAMS = tuple(name.strip() for name in NAMES.split(','))
