/* The devices of the platform, a subset of QEMU's Malta, through KSEG1. */
#ifndef PLATFORM_H
#define PLATFORM_H

#define KSEG0 0x80000000
#define KSEG1 0xa0000000

#define UART 0xbf000900
/* UART registers are 8 bytes apart. */
#define UART_DATA 0x00
#define UART_INTERRUPT_ENABLE 0x08
#define UART_INTERRUPT_IDENTIFICATION 0x10 /* read */
#define UART_FIFO_CONTROL 0x10 /* written */
#define UART_LINE_CONTROL 0x18
#define UART_MODEM_CONTROL 0x20
#define UART_LINE_STATUS 0x28
#define UART_MODEM_STATUS 0x30
#define UART_SCRATCH 0x38
#define UART_LINE_STATUS_DR 0x01
#define UART_LINE_STATUS_OE 0x02
#define UART_LINE_STATUS_THRE 0x20
#define UART_LINE_STATUS_TEMT 0x40

#define RESET 0xbf000500
#define RESET_GO 0x42

/* QEMU's Malta has a PIT that interrupts 18 times a second through an 8259, to IP2. Here is no such thing. */
#define MALTA_8259_MASK 0xb8000021

#endif
